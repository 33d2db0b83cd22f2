import { errorOfAnswer, ServerFault, ServerUnavailable, SettingsError } from "./errors.js";
import { words } from "./log.js";

/** Where the server is, and who calls. What is not given is that of the environment. */
export interface ServerOptions {
  /** Up to where `/v1` begins; `TASKER_URL` where it is not given. */
  url?: string;
  /** `TASKER_API_KEY` where neither it nor a token is given. */
  apiKey?: string;
  /** A bearer token; `TASKER_AUTH_TOKEN`. */
  token?: string;
  /** How servers call the header of API keys; `x-api-key`. */
  apiKeyHeader?: string;
  /** Of one request, waiting left out; 30. */
  timeoutS?: number;
  /** Sent with every request. */
  headers?: Readonly<Record<string, string>>;
}

/** A server's address, and the headers that prove who calls. */
export interface Server {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutS: number;
}

/** One request. */
export interface Request {
  readonly method: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, unknown>>;
  /** JSON as text. */
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** How much longer than others it may take. */
  readonly waitS?: number;
  readonly signal?: AbortSignal;
}

/** The server that is meant. Throws SettingsError for none, for two proofs, and for what is no address. */
export function findServer(options: ServerOptions, environment: NodeJS.ProcessEnv = process.env): Server {
  const url = options.url ?? environment["TASKER_URL"];
  if (!url) throw new SettingsError("no server is named: give its url, or set TASKER_URL");
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || !/^https?:$/.test(parsed.protocol) || !parsed.host) {
    throw new SettingsError(`"${url.split("@").at(-1)}" is no address of a server: write http://… or https://…`);
  }
  if (parsed.username || parsed.password || parsed.search || parsed.hash) {
    throw new SettingsError(`${parsed.origin}: give the address alone; a key goes into TASKER_API_KEY`);
  }
  const timeoutS = options.timeoutS ?? 30;
  if (!(timeoutS > 0)) throw new SettingsError(`timeoutS is a number of seconds above 0, not ${timeoutS}`);
  return { url: url.replace(/\/+$/, ""), headers: { ...options.headers, ...proof(options, environment) }, timeoutS };
}

function proof(options: ServerOptions, environment: NodeJS.ProcessEnv): Record<string, string> {
  const isGiven = Boolean(options.apiKey || options.token);
  const apiKey = isGiven ? options.apiKey : environment["TASKER_API_KEY"];
  const token = isGiven ? options.token : environment["TASKER_AUTH_TOKEN"];
  if (apiKey && token) throw new SettingsError("give an API key or a token, not both (TASKER_API_KEY, TASKER_AUTH_TOKEN)");
  if (apiKey) return { [options.apiKeyHeader ?? "x-api-key"]: apiKey };
  return token ? { authorization: `Bearer ${token}` } : {};
}

/**
 * What the server answers to a request, when its headers are there.
 *
 * @throws ServerUnavailable where nobody answers in time; the error that is told for every status but 2xx. Errors of an
 * aborted `signal` are thrown as they are.
 */
export async function send(server: Server, request: Request): Promise<Response> {
  const timeout = AbortSignal.timeout(Math.ceil((server.timeoutS + (request.waitS ?? 0)) * 1000));
  const signal = request.signal ? AbortSignal.any([request.signal, timeout]) : timeout;
  const content = request.body === undefined ? {} : { "content-type": "application/json" };
  try {
    const response = await fetch(server.url + request.path + queryOf(request.query), {
      method: request.method,
      headers: { ...server.headers, ...content, ...request.headers },
      ...(request.body === undefined ? {} : { body: request.body }),
      redirect: "manual",
      signal,
    });
    if (response.ok) return response;
    throw errorOfAnswer(response.status, await response.text(), response.headers.get("retry-after"), server.url);
  } catch (error) {
    throw unreached(error, server, request);
  }
}

/** The same, read to its end as JSON. */
export async function ask(server: Server, request: Request): Promise<any> {
  const response = await send(server, request);
  let text: string;
  try {
    text = await response.text();
  } catch (error) {
    throw unreached(error, server, request);
  }
  try {
    return text === "" ? null : JSON.parse(text);
  } catch (error) {
    throw new ServerFault(`${server.url} answered something that is not JSON: is this its address?`, { cause: error });
  }
}

/** What fetch throws for a broken or silent connection, in our words; other errors as they are. */
function unreached(error: unknown, server: Server, request: Request): unknown {
  if (request.signal?.aborted) return error;
  const isSilent = error instanceof DOMException && error.name === "TimeoutError";
  if (!isSilent && !(error instanceof TypeError)) return error;
  const why = isSilent ? "it did not answer in time" : words(error);
  return new ServerUnavailable(`${server.url} does not answer (${why})`, { cause: error });
}

function queryOf(query: Readonly<Record<string, unknown>> = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === null) continue;
    for (const one of Array.isArray(value) ? value : [value]) parameters.append(name, String(one));
  }
  return parameters.size ? `?${parameters}` : "";
}

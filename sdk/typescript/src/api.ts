import { createHash } from "node:crypto";
import { cleanExcerpt, shownUrl, statusError, transportError } from "./api-errors.js";
import type { StepContext } from "./context.js";
import { InvalidHandler } from "./errors.js";
import { plainJson } from "./json.js";
import { PermanentError, RetryableError } from "./step-errors.js";

/** What a handler says about all of its calls. */
export interface ApiOptions {
  /** Where paths are called. It is trusted: it may lie in a private network. */
  baseUrl?: string;
  /** Seconds for a whole call, redirects and body included; 30, and never more than the step has left. */
  timeoutS?: number;
  /** Sent with each call to the host of `baseUrl`, and to no other. */
  headers?: Readonly<Record<string, string>>;
  /** Statuses that are a success, besides 2xx. */
  acceptedStatuses?: readonly number[];
  /** Statuses that are tried again, besides those that always are. */
  retriedStatuses?: readonly number[];
  /** Hosts besides that of `baseUrl` that absolute URLs and redirects may lead to: `["hooks.example", "localhost:8080"]`. */
  allowedHosts?: readonly string[];
  /** Whether redirects are followed, five at most; no. */
  followsRedirects?: boolean;
  /** The largest body that a response may have, unpacked; 10 MB. */
  responseBytesMax?: number;
}

/** What one call may say. `json` or `body` is what is sent; a header given here replaces the one that would be sent. */
export interface CallOptions {
  params?: Readonly<Record<string, unknown>>;
  json?: unknown;
  body?: string | URLSearchParams | Uint8Array | FormData;
  headers?: Readonly<Record<string, string>>;
  /** Names one of several writes of a step: it follows the idempotency key after a slash. */
  part?: string;
  timeoutS?: number;
  /** False: the response is returned whatever its status. */
  check?: boolean;
}

/** The options of a handler, checked. */
export interface ApiRules {
  readonly base: URL | null;
  readonly timeoutS: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly accepted: ReadonlySet<number>;
  readonly retried: ReadonlySet<number>;
  readonly allowedHosts: ReadonlySet<string>;
  readonly followsRedirects: boolean;
  readonly responseBytesMax: number;
}

const READING: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const REDIRECTS_MAX = 5;
const ERROR_BODY_BYTES_MAX = 65_536;

/** What an HTTP call answered, read to its end. */
export class ApiResponse {
  constructor(
    readonly status: number,
    readonly headers: Headers,
    readonly content: Buffer,
    readonly url: URL,
  ) {}

  /** True for 2xx. */
  get isSuccess(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  /** The body as text. */
  get text(): string {
    const label = /charset="?([^\s;"]+)/i.exec(this.headers.get("content-type") ?? "")?.[1] ?? "utf-8";
    try {
      return new TextDecoder(label).decode(this.content);
    } catch {
      return this.content.toString(); // a charset that nobody knows
    }
  }

  /** The body's JSON. Throws RetryableError where it is none, as of a gateway's error page. */
  json<T = any>(): T {
    try {
      return JSON.parse(this.content.toString());
    } catch (error) {
      const message = `${shownUrl(this.url)} answered ${this.status} with a body that is not JSON`;
      const metadata = { status: this.status, response: cleanExcerpt(this.text) };
      throw new RetryableError(message, { errorCode: "INVALID_RESPONSE", metadata });
    }
  }
}

/** HTTP calls for one execution of a step. All return the response or throw what the step then fails with. */
export interface Api {
  get(url: string, options?: CallOptions): Promise<ApiResponse>;
  post(url: string, options?: CallOptions): Promise<ApiResponse>;
  put(url: string, options?: CallOptions): Promise<ApiResponse>;
  patch(url: string, options?: CallOptions): Promise<ApiResponse>;
  delete(url: string, options?: CallOptions): Promise<ApiResponse>;
  /** Any method. The URL is a path below the base URL, or an absolute one. */
  request(method: string, url: string, options?: CallOptions): Promise<ApiResponse>;
}

/** Throws InvalidHandler, which says what is wrong with the options; `place` says whose they are. */
export function apiRules(place: string, options: ApiOptions): ApiRules {
  const { baseUrl, timeoutS = 30, responseBytesMax = 10_000_000 } = options;
  const base = baseUrl && URL.canParse(baseUrl) ? new URL(baseUrl) : null;
  if (baseUrl && (base === null || !/^https?:$/.test(base.protocol) || base.search || base.hash)) {
    throw new InvalidHandler(`${place}: baseUrl is "${baseUrl}": give scheme, host and path, as https://api.example/v1`);
  }
  if (!(timeoutS > 0) || !(responseBytesMax > 0)) {
    throw new InvalidHandler(`${place}: timeoutS and responseBytesMax must be more than 0`);
  }
  const [accepted, retried] = [new Set(options.acceptedStatuses), new Set(options.retriedStatuses)];
  const both = [...accepted].filter((status) => retried.has(status));
  if (both.length) throw new InvalidHandler(`${place}: ${both.join(", ")} cannot be both accepted and retried`);
  const allowedHosts = new Set(options.allowedHosts);
  const wrong = [...allowedHosts].find((host) => /[/@*\s]/.test(host) || host === "");
  if (wrong !== undefined) throw new InvalidHandler(`${place}: allowedHosts: "${wrong}" is no host: write "hooks.example"`);
  const followsRedirects = options.followsRedirects ?? false;
  const headers = options.headers ?? {};
  return { base, timeoutS, headers, accepted, retried, allowedHosts, followsRedirects, responseBytesMax };
}

/** The calls of one execution. */
export function apiOf(rules: ApiRules, context: StepContext): Api {
  const writes = new Map<string, string>();
  const request = async (method: string, url: string, options: CallOptions = {}): Promise<ApiResponse> => {
    const upper = method.toUpperCase();
    const key = READING.has(upper) ? null : idempotencyKey(context, upper, url, options, writes);
    return call(rules, context, upper, joined(rules, url), options, key);
  };
  return {
    request,
    get: (url, options) => request("GET", url, options),
    post: (url, options) => request("POST", url, options),
    put: (url, options) => request("PUT", url, options),
    patch: (url, options) => request("PATCH", url, options),
    delete: (url, options) => request("DELETE", url, options),
  };
}

/** The key of a write. A second, other write under one key is refused: it would be answered as if it were the first. */
function idempotencyKey(
  context: StepContext,
  method: string,
  url: string,
  options: CallOptions,
  writes: Map<string, string>,
): string {
  const key = sendable(context.idempotencyKey) + (options.part ? `/${sendable(options.part)}` : "");
  const hasOwn = Object.keys(options.headers ?? {}).some((name) => name.toLowerCase() === "idempotency-key");
  const { params = null, json = null, body = null } = options;
  const write = JSON.stringify([method, url, params, json, body instanceof Uint8Array ? [...body] : String(body)]);
  const known = writes.get(key) ?? write;
  if (!hasOwn && known !== write) {
    throw new PermanentError(
      `step "${context.stepName}" sends a second, other write, ${method} ${url.split("?")[0]}, under one idempotency ` +
        'key, and would be answered as if it were the first: name each, part: "refund"',
      { errorCode: "IDEMPOTENCY_KEY_REUSED" },
    );
  }
  if (!hasOwn) writes.set(key, write);
  return key;
}

/** The key in printable ASCII without a slash, which parts the step from its part. Different keys stay different. */
function sendable(key: string): string {
  return encodeURIComponent(key.replace(/\p{Surrogate}/gu, "\uFFFD")).replaceAll("%3A", ":");
}

async function call(
  rules: ApiRules,
  context: StepContext,
  method: string,
  first: URL,
  options: CallOptions,
  key: string | null,
): Promise<ApiResponse> {
  const leftS = context.secondsLeft ?? Infinity;
  const timeoutS = Math.max(0.001, Math.min(options.timeoutS ?? rules.timeoutS, leftS));
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(Math.ceil(timeoutS * 1000))]);
  const sent = outgoing(rules, context, first, options, key);
  for (const [name, value] of Object.entries(options.params ?? {})) {
    if (value !== undefined && value !== null) first.searchParams.append(name, String(value));
  }
  let [url, verb, body] = [first, method, sent.body];
  for (let redirects = 0; ; redirects++) {
    try {
      const request: RequestInit = { method: verb, headers: sent.headers, redirect: "manual", signal };
      const response = await fetch(url, body === undefined ? request : { ...request, body });
      const next = redirects < REDIRECTS_MAX ? redirected(rules, response, url, verb) : null;
      if (next === null) return await read(rules, response, verb, url, options.check ?? true);
      await response.body?.cancel();
      if (response.status === 303) [verb, body] = ["GET", undefined];
      if (next.origin !== url.origin) keepForOthers(sent.headers);
      url = next;
    } catch (error) {
      if (context.signal.aborted) throw context.signal.reason;
      throw transportError(error, verb, url, timeoutS);
    }
  }
}

function outgoing(
  rules: ApiRules,
  context: StepContext,
  url: URL,
  options: CallOptions,
  key: string | null,
): { headers: Headers; body: NonNullable<RequestInit["body"]> | undefined } {
  try {
    // The handler's headers hold its credentials, which are for its own host only.
    const headers = new Headers(rules.base === null || url.origin === rules.base.origin ? rules.headers : {});
    for (const [name, value] of Object.entries(traceHeaders(context))) headers.set(name, value);
    if (key !== null) headers.set("Idempotency-Key", key);
    if (options.json !== undefined) headers.set("Content-Type", "application/json");
    for (const [name, value] of Object.entries(options.headers ?? {})) headers.set(name, value);
    // A number that JSON does not have is refused here, before anything is sent.
    const body = options.json === undefined ? options.body : JSON.stringify(plainJson(options.json));
    return { headers, body: body as NonNullable<RequestInit["body"]> | undefined };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new PermanentError(`the call of ${shownUrl(url)} cannot be sent: ${why}`, { errorCode: "INVALID_REQUEST" });
  }
}

/** By these the receiver's logs and traces are found again from the task's. The trace is the correlation id's. */
function traceHeaders(context: StepContext): Record<string, string> {
  if (context.correlationId === null) return {};
  const span = createHash("sha256").update(`${context.stepUuid}:${context.attempt}`).digest("hex").slice(0, 16);
  const trace = context.correlationId.replaceAll("-", "");
  return { "X-Correlation-ID": context.correlationId, traceparent: `00-${trace}-${span}-01` };
}

function keepForOthers(headers: Headers): void {
  for (const name of [...headers.keys()]) {
    if (!["accept", "user-agent", "content-type"].includes(name)) headers.delete(name);
  }
}

/** Where a redirect leads; null where the response is the one to keep. */
function redirected(rules: ApiRules, response: Response, here: URL, method: string): URL | null {
  const location = response.headers.get("location");
  if (!rules.followsRedirects || !REDIRECTS.has(response.status) || location === null) return null;
  // A write that becomes a read would look as if it had been done.
  if ((response.status === 301 || response.status === 302) && !READING.has(method)) return null;
  if (!URL.canParse(location, here.href)) return null;
  const there = new URL(location, here);
  if (here.protocol === "https:" && there.protocol !== "https:") {
    const message = `${shownUrl(here)} redirects to ${shownUrl(there)}, which is not encrypted: not followed`;
    throw new PermanentError(message, { errorCode: "REDIRECT_REFUSED" });
  }
  if (there.origin !== here.origin) checkHost(rules, there);
  return there;
}

async function read(
  rules: ApiRules,
  response: Response,
  method: string,
  url: URL,
  check: boolean,
): Promise<ApiResponse> {
  const isKept = response.ok || rules.accepted.has(response.status) || !check;
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk);
    size += chunk.length;
    if (isKept && size > rules.responseBytesMax) {
      const limit = `more than ${rules.responseBytesMax} bytes, the handler's limit`;
      const message = `${method} ${shownUrl(url)} answered with ${limit}: ask for less, or raise responseBytesMax`;
      throw new PermanentError(message, { errorCode: "RESPONSE_TOO_LARGE" });
    }
    if (!isKept && size >= ERROR_BODY_BYTES_MAX) break;
  }
  const whole = new ApiResponse(response.status, response.headers, Buffer.concat(chunks), url);
  if (isKept) return whole;
  throw statusError(whole.status, whole.headers, whole.text, { method, url, retried: rules.retried });
}

/** The URL to call: a path below the base URL, or an absolute one that the handler allows. */
function joined({ base, ...rules }: ApiRules, text: string): URL {
  if (URL.canParse(text)) {
    const url = new URL(text);
    if (!/^https?:$/.test(url.protocol)) throw invalidUrl(`${shownUrl(url)}: give an http or https URL`);
    if (url.origin !== base?.origin) checkHost({ base, ...rules }, url);
    return url;
  }
  if (base === null) throw invalidUrl("a path, where the handler has no baseUrl");
  if (text.startsWith("//") || climbs(text)) throw invalidUrl("what is no path below its baseUrl: no `..`, no host");
  const [path = "", query] = text.split("#")[0]!.split("?", 2);
  const url = new URL(base);
  if (path) url.pathname = `${base.pathname.replace(/\/+$/, "")}/${path.replace(/^\/+/, "")}`;
  if (query !== undefined) url.search = query;
  return url;
}

/** True for a path that leads up, however it is written: out of the base URL, or to what data chose. */
function climbs(text: string): boolean {
  const path = text.split(/[?#]/)[0]!;
  let plain = path;
  try {
    plain = decodeURIComponent(path);
  } catch {
    return true; // half an escape is no path
  }
  return plain.replaceAll("\\", "/").split("/").includes("..") || /^[a-z][a-z0-9+.-]*:/i.test(plain);
}

/** URLs may come from whoever submitted the task, and must not reach what only the worker can. */
function checkHost(rules: ApiRules, url: URL): void {
  const isAllowed = rules.allowedHosts.has(url.host) || rules.allowedHosts.has(url.hostname);
  if (isAllowed && !url.username && !url.password) return;
  const advice = "if the handler is meant to call it, name the host in its allowedHosts";
  throw new PermanentError(`${shownUrl(url)} is not the handler's own host, and its URL may come from data: ${advice}`, {
    errorCode: "EGRESS_REFUSED",
    metadata: { host: url.host },
  });
}

function invalidUrl(what: string): PermanentError {
  return new PermanentError(`the step cannot call ${what}`, { errorCode: "INVALID_URL" });
}

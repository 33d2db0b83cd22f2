import { setTimeout as pause } from "node:timers/promises";
import type { Update } from "./answers.js";
import { Backpressure, errorTold, ServerUnavailable } from "./errors.js";
import { send, type Server } from "./server.js";

const SILENT_MS_MAX = 45_000;
const CUTS_MAX = 20;
const CUT_PAUSE_MS = 500;

/** An event of a stream, as servers send them. */
export interface ServerEvent {
  readonly event: string;
  readonly data: string;
}

/**
 * The updates of a stream. Where it is cut it goes on behind the last update, and begins only once.
 *
 * @throws what the server refuses; ServerUnavailable after too many cuts in turn.
 */
export async function* follow(
  server: Server,
  path: string,
  query: Record<string, unknown>,
  options: { cursor?: string; signal?: AbortSignal },
): AsyncGenerator<Update, void, void> {
  let cursor = options.cursor;
  let hasBegun = false;
  for (let cuts = 0; cuts < CUTS_MAX; cuts++) {
    try {
      for await (const update of updatesOf(server, path, { ...query, cursor }, options.signal)) {
        cursor = update.cursor;
        const isBeginning = update.update_type === "ready";
        if (!isBeginning) cuts = 0;
        if (isBeginning && hasBegun) continue;
        hasBegun = true;
        yield update;
        if (update.is_last) return;
      }
    } catch (error) {
      if (options.signal?.aborted) return;
      if (!(error instanceof ServerUnavailable || error instanceof Backpressure)) throw error;
    }
    if (options.signal?.aborted) return;
    await pause(CUT_PAUSE_MS);
  }
  throw new ServerUnavailable(`${server.url} cut the stream ${CUTS_MAX} times in turn: is a proxy between?`);
}

/** Those of one connection, until it ends or breaks. */
async function* updatesOf(
  server: Server,
  path: string,
  query: Record<string, unknown>,
  signal?: AbortSignal,
): AsyncGenerator<Update, void, void> {
  const silence = new AbortController();
  const both = signal ? AbortSignal.any([signal, silence.signal]) : silence.signal;
  let timer = setTimeout(() => silence.abort(), SILENT_MS_MAX);
  try {
    const headers = { accept: "text/event-stream" };
    const hour = 3600; // of the whole response: streams live long, and are cut when they are silent
    const response = await send(server, { method: "GET", path, query, headers, signal: both, waitS: hour });
    for await (const { event, data } of eventsOf(response.body!, () => timer.refresh())) {
      if (event === "error") throw errorTold(JSON.parse(data).error);
      yield JSON.parse(data);
    }
  } catch (error) {
    if (silence.signal.aborted || isCut(error)) throw new ServerUnavailable("the stream was cut", { cause: error });
    throw error;
  } finally {
    clearTimeout(timer);
    silence.abort();
  }
}

function isCut(error: unknown): boolean {
  return error instanceof TypeError || (error instanceof DOMException && error.name !== "AbortError");
}

/** The events of a body; `alive` is called for whatever comes, comments included. */
export async function* eventsOf(
  body: AsyncIterable<Uint8Array>,
  alive: () => void = () => {},
): AsyncGenerator<ServerEvent, void, void> {
  const decoder = new TextDecoder();
  let rest = "";
  let event = "";
  let data: string[] = [];
  for await (const chunk of body) {
    alive();
    rest += decoder.decode(chunk, { stream: true });
    // A carriage return at the end may be the first half of a line's end.
    const whole = rest.endsWith("\r") ? rest.slice(0, -1) : rest;
    const lines = whole.split(/\r\n|\r|\n/);
    rest = lines.pop()! + rest.slice(whole.length);
    for (const line of lines) {
      const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line)!;
      if (line === "") {
        if (data.length) yield { event: event || "message", data: data.join("\n") };
        [event, data] = ["", []];
      } else if (name === "event") event = value!;
      else if (name === "data") data.push(value!);
    }
  }
}

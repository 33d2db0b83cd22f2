import {
  Backpressure,
  InvalidInput,
  NotFound,
  PayloadTooLarge,
  ServerFault,
  ServerUnavailable,
  TaskerError,
  TaskNotFound,
  TurnSuperseded,
} from "./errors.js";
import type { Loaded, SessionOpened, Wanted } from "./protocol.js";
import { ask, type Server } from "./server.js";

const PATH = "/v1/worker/sessions";

/** What a failed call of a session means for a worker. */
export type Trouble =
  /** Nobody knows whether it was heard: the next turn finds out. */
  | "away"
  /** The session is unknown: open another. */
  | "unknown"
  /** What was said cannot be read as a whole. */
  | "data"
  /** The server refuses for a reason of its own. */
  | "refused";

/** The calls of a worker to its server. */
export class Line {
  constructor(readonly server: Server) {}

  /** Begins a session. */
  open(about: Record<string, unknown>): Promise<SessionOpened> {
    return ask(this.server, { method: "POST", path: PATH, body: JSON.stringify(about) });
  }

  /** What a call of a session is answered; `body` is JSON. Throws what `troubleOf` knows. */
  call(session: string, what: string, body: string, options: { waitS?: number; signal?: AbortSignal } = {}): Promise<any> {
    return ask(this.server, { method: "POST", path: `${PATH}/${session}/${what}`, body, ...options });
  }

  /** What grants did not carry. */
  load(session: string, wanted: Wanted): Promise<Loaded> {
    return this.call(session, "load", JSON.stringify(wanted));
  }
}

/** What the failure of a call means. */
export function troubleOf(error: unknown): Trouble {
  if (!(error instanceof TaskerError)) return "away";
  if (error instanceof ServerUnavailable || error instanceof Backpressure || error instanceof TurnSuperseded) return "away";
  if (error instanceof TaskNotFound) return "refused";
  if (error instanceof NotFound) return "unknown";
  if (error instanceof InvalidInput || error instanceof PayloadTooLarge) return "data";
  return error instanceof ServerFault && (error.status ?? 500) >= 500 ? "away" : "refused";
}

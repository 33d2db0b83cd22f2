import { Worker as Thread } from "node:worker_threads";
import type { Held } from "./held.js";
import { words, type Logger } from "./log.js";
import { fenceOf, type BeatHeard, type Fence } from "./protocol.js";
import type { Server } from "./server.js";

/** What runs, and since when: `aliveMs` is of the system's monotonic clock, which threads share. */
export interface Beating extends Fence {
  readonly aliveMs: number;
}

/** What the thread is told. */
export type ToThread =
  | { readonly kind: "session"; readonly session: string | null; readonly beatS: number; readonly leaseS: number }
  | { readonly kind: "pulse"; readonly held: readonly Beating[]; readonly staleOutcomes: number; readonly isIdle: boolean };

/** What the thread tells. */
export type FromThread =
  | { readonly kind: "heard"; readonly session: string; readonly answer: BeatHeard }
  | { readonly kind: "unknown"; readonly session: string }
  | { readonly kind: "failed"; readonly error: string };

/** What happens with what the thread tells. */
export interface HeartbeatOptions {
  readonly server: Server;
  readonly log: Logger;
  /** What is running. */
  readonly pulse: () => { held: readonly Held[]; staleOutcomes: number; isIdle: boolean };
  readonly heard: (session: string, answer: BeatHeard) => void;
  readonly unknown: (session: string) => void;
}

const RESTART_PAUSE_MS = 200;

/**
 * The beats of a worker, in a thread of their own: a handler that computes for longer than a lease would otherwise cost
 * the worker its session. The thread is told whatever changes, and goes by that.
 */
export class Heartbeat {
  #thread: Thread | null = null;
  #session: ToThread = { kind: "session", session: null, beatS: 1, leaseS: 1 };
  #isTelling = false;

  constructor(private readonly options: HeartbeatOptions) {}

  /** Begins to beat for a session; null: for none. */
  enter(session: string | null, beatS = 1, leaseS = 1): void {
    this.#session = { kind: "session", session, beatS, leaseS };
    if (this.#thread === null) this.#start();
    this.#thread?.postMessage(this.#session);
    this.changed();
  }

  /** What runs has changed; the thread is told once in a round of the loop. */
  changed(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    setImmediate(() => {
      this.#isTelling = false;
      this.#thread?.postMessage(this.#pulse());
    });
  }

  async stop(): Promise<void> {
    const thread = this.#thread;
    this.#thread = null;
    await thread?.terminate();
  }

  #pulse(): ToThread {
    const { held, staleOutcomes, isIdle } = this.options.pulse();
    // performance.now() begins anew in each thread; this clock does not.
    const shift = Number(process.hrtime.bigint()) / 1e6 - performance.now();
    const beating = held.filter((one) => one.startedAt > 0);
    return {
      kind: "pulse",
      held: beating.map((one) => ({ ...fenceOf(one.fence), aliveMs: one.aliveAt + shift })),
      staleOutcomes,
      isIdle,
    };
  }

  #start(): void {
    const thread = new Thread(new URL("./beat-thread.js", import.meta.url), { workerData: this.options.server });
    this.#thread = thread;
    thread.unref();
    thread.on("message", (said: FromThread) => this.#told(said));
    thread.on("error", (error) => {
      // Without beats all that the worker runs would be taken for lost.
      this.options.log.error("the thread that beats has failed; starting another", { error: words(error) });
      if (this.#thread !== thread) return;
      setTimeout(() => {
        if (this.#thread !== thread) return;
        this.#start();
        this.#thread.postMessage(this.#session);
        this.changed();
      }, RESTART_PAUSE_MS);
    });
  }

  #told(said: FromThread): void {
    if (said.kind === "heard") this.options.heard(said.session, said.answer);
    else if (said.kind === "unknown") this.options.unknown(said.session);
    else this.options.log.warn("a beat was not answered; trying again", { error: said.error });
  }
}

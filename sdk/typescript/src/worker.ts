import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { Admission } from "./admission.js";
import { saveCheckpoint } from "./checkpoints.js";
import { ServerUnavailable, SettingsError } from "./errors.js";
import { Executor, type CheckSchema } from "./executor.js";
import { Heartbeat } from "./heartbeat.js";
import { Line } from "./line.js";
import { jsonLogger, words, type Logger } from "./log.js";
import type { BeatHeard } from "./protocol.js";
import { Registry, type HandlerSource } from "./registry.js";
import { findServer, type ServerOptions } from "./server.js";
import { Slots } from "./slots.js";
import { Turns, type Counts } from "./turns.js";

/** What a worker is made of. */
export interface WorkerOptions extends ServerOptions {
  /** Handlers, classes, modules with them (`import * as shop from "./shop.js"`), lists of these, or a Registry. */
  handlers: HandlerSource;
  /** How many steps run at once; 10. */
  concurrency?: number;
  /** What people know it by; the host's name with the process id. */
  name?: string;
  /** Serve only these; all where it is not said. */
  queues?: readonly string[];
  /** Serve only these; all that the key reaches where it is not said. */
  namespaces?: readonly string[];
  /** How long a worker that is asked to stop lets its steps finish; 30. */
  drainS?: number;
  /** How long a start waits for a server that does not answer; 60. */
  startWithinS?: number;
  /** Asks the worker to stop, as stop() does. */
  signal?: AbortSignal;
  /** Holds values against JSON Schemas, for templates with a `result_schema`: the problems, a line each. */
  checkSchema?: CheckSchema;
  /** JSON lines on stderr, where it is not said. */
  logger?: Logger;
}

const GOODBYE_MS = 5000;
const PAUSE_MS = 100;
const PAUSE_MS_MAX = 2000;

/**
 * Runs steps through a server, with these handlers.
 *
 * ```ts
 * await new Worker({ url: "https://tasker.example", handlers: [charge, ship] }).run();
 * ```
 *
 * A server that goes away is waited for, and no result is lost meanwhile. Handlers run at least once, outcomes are
 * recorded exactly once: give `context.idempotencyKey` to whatever must not happen twice.
 */
export class Worker {
  readonly #options: WorkerOptions;
  readonly #line: Line;
  readonly #log: Logger;
  readonly #registry: Registry;
  readonly #slots: Slots;
  readonly #turns: Turns;
  readonly #executor: Executor;
  readonly #heartbeat: Heartbeat;
  #main: Promise<void> | null = null;
  #stopping: Promise<void> | null = null;
  readonly #hurried = new AbortController();

  /** Throws SettingsError and InvalidHandler for what cannot be; nothing is sent before start(). */
  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#line = new Line(findServer(options));
    this.#log = options.logger ?? jsonLogger();
    this.#registry = new Registry(options.handlers);
    const concurrency = options.concurrency ?? 10;
    if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 10_000) {
      throw new SettingsError(`concurrency is a number from 1 to 10000, not ${concurrency}`);
    }
    this.#slots = new Slots(concurrency);
    const admission = new Admission(this.#line, this.#registry, this.#log);
    this.#turns = new Turns(this.#line, this.#slots, admission, this.#log);
    this.#heartbeat = this.#makeHeartbeat();
    this.#executor = this.#turns.executor = this.#makeExecutor();
  }

  /** How many turns, outcomes, stale outcomes, … since the start. */
  get counts(): Readonly<Counts> {
    return { ...this.#turns.counts };
  }

  /**
   * Opens the session; returns when the worker takes work.
   *
   * @throws ServerUnavailable where nobody answers within `startWithinS`, Unauthenticated, Forbidden, InvalidInput.
   */
  async start(): Promise<void> {
    if (this.#main !== null) throw new SettingsError("this worker was started before: make another one");
    const untilMs = performance.now() + (this.#options.startWithinS ?? 60) * 1000;
    await this.#openSession((error) => {
      if (this.#stopping !== null) throw new ServerUnavailable("the worker was stopped before it had started");
      if (!(error instanceof ServerUnavailable) || performance.now() > untilMs) throw error;
    });
    this.#main = this.#turnUntilDrained();
    const { signal } = this.#options;
    if (this.#stopping !== null) this.#stopping = this.#drain(0);
    else if (signal?.aborted) void this.stop();
    else signal?.addEventListener("abort", () => void this.stop(), { once: true });
  }

  /** Takes nothing more, lets running steps finish for `drainS`, hands the others back, and ends the session. */
  stop(drainS?: number): Promise<void> {
    this.#stopping ??= this.#drain(drainS ?? this.#options.drainS ?? 30);
    return this.#stopping;
  }

  /** Ends the waiting of a stop() under way: what still runs is handed back. */
  hurry(): void {
    this.#hurried.abort();
  }

  /**
   * Starts, and returns when the worker has stopped: by stop(), the `signal`, SIGTERM or SIGINT. A second signal hurries
   * it. Throws what start() throws.
   */
  async run(): Promise<void> {
    const asked = (name: NodeJS.Signals): void => {
      if (this.#stopping !== null) this.hurry();
      this.#log.info("asked to stop; running steps may finish", { signal: name });
      void this.stop();
    };
    process.on("SIGTERM", asked).on("SIGINT", asked);
    try {
      await this.start();
      await this.#main;
      await this.stop();
    } catch (error) {
      if (this.#main !== null || this.#stopping === null) throw error;
    } finally {
      process.off("SIGTERM", asked).off("SIGINT", asked);
    }
  }

  // Sessions --------------------------------------------------------------------------------------------------------

  /** Opens a session, with patience; `failed` throws what is not to be waited out. */
  async #openSession(failed: (error: unknown) => void): Promise<void> {
    const { name, queues, namespaces } = this.#options;
    const host = hostname();
    const about = {
      session_uuid: randomUUID(),
      name: name ?? `${host}:${process.pid}`,
      host,
      pid: process.pid,
      handlers: this.#registry.list().map((one) => ({ name: one.name, system_dependency: one.systemDependency })),
      queues: queues ?? null,
      namespaces: namespaces ?? null,
    };
    for (let pauseMs = PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
      try {
        const session = await this.#line.open(about);
        this.#turns.enter(session);
        this.#heartbeat.enter(session.session_uuid, session.beat_s, session.lease_s);
        this.#log.info("takes work", { session: session.session_uuid, handlers: this.#registry.list().length });
        return;
      } catch (error) {
        failed(error);
        this.#log.warn("cannot open a session; trying again", { error: words(error) });
        await pause(pauseMs);
      }
    }
  }

  async #turnUntilDrained(): Promise<void> {
    for (;;) {
      const how = await this.#turns.run().catch((error: unknown) => this.#failed(error));
      if (how === "drained") break;
      if (how === "failed") continue;
      this.#log.warn("the session was ended by others; opening another");
      this.#heartbeat.enter(null);
      await this.#turns.leave();
      if (this.#turns.isDraining) break;
      await this.#openSession(() => {
        // Also for a refusal: a key may be rotated, and work waits for this worker. stop() ends the waiting.
        if (this.#turns.isDraining) throw new ServerUnavailable("the worker stops");
      }).catch((error: unknown) => {
        if (!this.#turns.isDraining) throw error;
      });
    }
  }

  /** A turn failed in a way that nobody foresaw: work waits for this worker, so it goes on. */
  async #failed(error: unknown): Promise<"failed"> {
    this.#log.error("a turn failed; trying again", { error: words(error), stack: (error as Error | null)?.stack });
    this.#turns.doubt();
    await pause(PAUSE_MS_MAX);
    return "failed";
  }

  async #drain(drainS: number): Promise<void> {
    this.#turns.drain();
    if (this.#main === null) return;
    const hurried = this.#hurried.signal;
    await Promise.race([this.#main, pause(drainS * 1000, undefined, { signal: hurried, ref: false }).catch(() => {})]);
    for (const held of this.#slots.running) this.#executor.stop(held, "released");
    await Promise.race([this.#main, pause(GOODBYE_MS, undefined, { ref: false })]);
    await this.#sayGoodbye();
    await this.#heartbeat.stop();
  }

  /** Ends the session, as far as the server answers; its lease ends it otherwise. */
  async #sayGoodbye(): Promise<void> {
    const session = this.#turns.session;
    if (this.#turns.sessionEnded) return;
    const line = new Line({ ...this.#line.server, timeoutS: GOODBYE_MS / 1000 });
    try {
      await line.call(session.session_uuid, "end", JSON.stringify({ reason: "stopped" }));
    } catch (error) {
      this.#log.warn("could not end the session; its lease will", { error: words(error) });
    }
  }

  // Its parts -------------------------------------------------------------------------------------------------------

  #makeExecutor(): Executor {
    return new Executor({
      slots: this.#slots,
      log: this.#log,
      resultBytesMax: () => this.#turns.session.result_bytes_max,
      checkSchema: this.#options.checkSchema ?? null,
      done: (held) => {
        this.#turns.done(held);
        this.#heartbeat.changed();
      },
      changed: () => {
        this.#turns.wake();
        this.#heartbeat.changed();
      },
      save: (held, state) => saveCheckpoint(this.#line, this.#turns.session, held, state, this.#log),
    });
  }

  #makeHeartbeat(): Heartbeat {
    return new Heartbeat({
      server: this.#line.server,
      log: this.#log,
      pulse: () => ({
        held: this.#turns.running(),
        staleOutcomes: this.#turns.counts.stale,
        isIdle: this.#turns.isIdle,
      }),
      heard: (session, answer) => this.#heard(session, answer),
      unknown: (session) => this.#heard(session, { session_ended: true, gone: [] }),
    });
  }

  #heard(session: string, answer: BeatHeard): void {
    if (session !== this.#turns.session.session_uuid) return;
    this.#turns.lost(answer.gone);
    if (answer.session_ended) this.#turns.sessionEnded = true;
    const isPaused = Boolean(answer.wanted);
    if (isPaused !== this.#turns.isPaused) this.#log.info("an operator's wish", { wanted: answer.wanted ?? "work" });
    this.#turns.isPaused = isPaused;
    if (answer.wanted === "drained") void this.stop();
    this.#turns.wake();
  }
}

import { needsOf } from "./admission.js";
import { Batch } from "./batch.js";
import { Checkpoint, StepContext, type CheckpointState } from "./context.js";
import type { Returned } from "./handlers.js";
import type { Held } from "./held.js";
import { FIRST_MEMBER } from "./ids.js";
import type { Json, JsonObject } from "./json.js";
import type { Logger } from "./log.js";
import { isSuccess, outcomeOfError, outcomeOfResult, released, type Outcome } from "./outcomes.js";
import type { Slots } from "./slots.js";
import { ConfigurationError, PermanentError, StepTimeoutError, StepValidationError } from "./step-errors.js";

/** How long a handler that is told to stop has for it. */
const STOP_MS = 1000;
/** The longest that a timer of Node can wait. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** Holds a value against a JSON Schema: what is wrong, a line each. */
export type CheckSchema = (schema: JsonObject, value: Json) => readonly string[];

/** What an executor needs of its worker. */
export interface ExecutorOptions {
  readonly slots: Slots;
  readonly log: Logger;
  readonly resultBytesMax: () => number;
  readonly checkSchema: CheckSchema | null;
  /** A step has ended; without an outcome it was taken away, and is only let go. */
  readonly done: (held: Held) => void;
  /** Something that the beats tell has changed. */
  readonly changed: () => void;
  readonly save: (held: Held, state: CheckpointState) => Promise<void>;
}

/**
 * Runs held steps, and hands each with its outcome to `done`.
 *
 * Nothing that a handler does reaches the turns as an exception. A timeout runs from the real start. JavaScript cannot
 * stop a function: the handler is told by its signal, and one that goes on all the same is left: its outcome is settled
 * without it, and it keeps its slot until it returns.
 */
export class Executor {
  constructor(private readonly options: ExecutorOptions) {}

  /** Begins to run a step. */
  start(held: Held): void {
    held.startedAt = held.aliveAt = performance.now();
    this.options.slots.take(held);
    this.#startClock(held);
    this.options.changed();
    void this.#run(held);
  }

  /** The step was cancelled or taken away, or is handed back: its handler is told. */
  stop(held: Held, how: "gone" | "released"): void {
    const wasTold = held.isTold;
    if (how === "gone") held.isGone = true;
    else held.isReleased = true;
    if (!wasTold) this.#tell(held, how === "gone" ? "the attempt was cancelled or taken away" : "the worker stops");
  }

  async #run(held: Held): Promise<void> {
    let outcome: Outcome;
    try {
      const context = this.#context(held);
      const value = await this.#finished(held.handler!.run(context), context);
      outcome = this.#checked(held, outcomeOfResult(held.step, value, this.options.resultBytesMax()));
    } catch (error) {
      outcome = outcomeOfError(error);
    }
    this.#end(held, outcome);
  }

  /** What a handler returns in the end; what a generator yields on the way is saved. */
  async #finished(returned: Returned<unknown>, context: StepContext): Promise<unknown> {
    if (!isGenerator(returned)) return returned;
    for (;;) {
      const { done, value } = await returned.next();
      if (done) return value;
      if (!(value instanceof Checkpoint)) {
        await returned.return(undefined);
        const advice = "yield checkpoint(cursor, { itemsProcessed })";
        throw new PermanentError(`step "${context.stepName}" yields something that is no checkpoint: ${advice}`);
      }
      try {
        await context.saveCheckpoint(value.cursor, value.options);
      } catch (error) {
        const next = await returned.throw(error); // the generator may clean up; whatever it says, it has lost the step
        if (!next.done) await returned.return(undefined);
        throw error;
      }
    }
  }

  #context(held: Held): StepContext {
    const { step, template, part } = held;
    if (held.grant.is_unchecked && template.inputSchema) {
      const problems = this.#problems(template.inputSchema, held.input ?? {}, "input");
      const message = `the input does not fit the schema of ${template.fullName}: ${problems.join("; ")}`;
      if (problems.length) throw new StepValidationError(message, { errorCode: "invalid_input" });
    }
    const index = held.fence.number % FIRST_MEMBER;
    const isPart = part !== null && !step.isForEach;
    const cursor = (part?.item ?? {}) as JsonObject;
    const fetched = new Set(needsOf(held));
    return new StepContext({
      taskUuid: held.fence.task_uuid,
      stepName: held.name,
      number: held.fence.number,
      attempt: held.fence.attempt,
      tries: held.grant.tries,
      maxAttempts: step.maxAttempts,
      input: held.input ?? {},
      results: new Map([...held.results].filter(([name]) => fetched.has(name))),
      unfetched: new Set(step.ancestors.filter((name) => !fetched.has(name) && name !== step.itemsFrom)),
      configuration: step.configuration,
      correlationId: held.correlationId ?? held.fence.task_uuid,
      checkpoint: held.checkpoint,
      batch: isPart ? new Batch(part.batchId, index, cursor, step.cursorField, step.failureStrategy) : null,
      item: part !== null && step.isForEach ? part.item : null,
      itemIndex: part !== null && step.isForEach ? index - 1 : null,
      batchSize: step.batchSize,
      signal: held.controller.signal,
      secondsLeft: () => secondsLeft(held),
      live: () => this.#live(held),
      save: async (state) => {
        await this.options.save(held, state);
        this.#live(held);
      },
      logger: this.options.log,
    });
  }

  /** A success that does not fit the step's `result_schema` is a failure. */
  #checked(held: Held, outcome: Outcome): Outcome {
    const schema = held.step.resultSchema;
    if (schema === null || !isSuccess(outcome)) return outcome;
    const problems = this.#problems(schema, outcome.value ?? {}, "result_schema");
    if (problems.length === 0) return outcome;
    const message = `the result of step "${held.step.name}" does not fit its result_schema: ${problems.join("; ")}`;
    const about = { errorCode: "RESULT_SCHEMA_MISMATCH", metadata: { violations: problems } };
    return outcomeOfError(new StepValidationError(message, about));
  }

  #problems(schema: JsonObject, value: Json, what: string): readonly string[] {
    if (this.options.checkSchema) return this.options.checkSchema(schema, value);
    const advice = "give the worker checkSchema, or say `enforce_schemas: false` in the template";
    throw new ConfigurationError(`the template has a schema for this (${what}), and the worker cannot check it: ${advice}`);
  }

  #startClock(held: Held): void {
    const { timeoutS } = held.step;
    if (timeoutS === null) return;
    if (held.timer) clearTimeout(held.timer);
    const leftMs = held.aliveAt + timeoutS * 1000 - performance.now();
    if (leftMs > TIMER_MS_MAX) return; // it outlasts what a timer can wait, and so the process
    held.timer = setTimeout(() => {
      held.isTimedOut = true;
      this.#tell(held, `the step ran past its timeout of ${timeoutS} s`);
    }, Math.max(0, leftMs));
  }

  /** A sign of life of its handler: it gets its time anew. */
  #live(held: Held): void {
    if (held.step.timeoutS === null || held.isTold || held.outcome !== null) return;
    held.aliveAt = performance.now();
    this.#startClock(held);
    this.options.changed();
  }

  #tell(held: Held, why: string): void {
    if (held.timer) clearTimeout(held.timer);
    held.timer = setTimeout(() => this.#leave(held), STOP_MS);
    held.controller.abort(new DOMException(why, "AbortError"));
  }

  /** Settles the step without its handler, which keeps its slot until it returns. */
  #leave(held: Held): void {
    held.isLeft = true;
    this.options.slots.linger(held);
    this.#finish(held, outcomeOfStop(held));
  }

  #end(held: Held, outcome: Outcome): void {
    if (held.isLeft) {
      this.options.slots.endLinger(held);
      this.options.changed();
    } else if (held.isTold && !(held.isReleased && !held.isTimedOut && !held.isGone && isSuccess(outcome))) {
      this.#finish(held, outcomeOfStop(held));
    } else {
      this.#finish(held, outcome);
    }
  }

  #finish(held: Held, outcome: Outcome | null): void {
    if (held.timer) clearTimeout(held.timer);
    held.timer = null;
    held.runS = (performance.now() - held.startedAt) / 1000;
    held.outcome = outcome;
    this.options.slots.giveBack(held);
    this.options.done(held);
  }
}

/** What is reported of a step whose handler was told to stop; null where nobody wants to know. */
function outcomeOfStop(held: Held): Outcome | null {
  if (held.isGone) return null;
  if (!held.isTimedOut) return released();
  const message = `step "${held.name}" ran past its timeout of ${held.step.timeoutS} s`;
  return outcomeOfError(new StepTimeoutError(message));
}

function secondsLeft(held: Held): number | null {
  const { timeoutS } = held.step;
  return timeoutS === null ? null : Math.max(0, timeoutS - (performance.now() - held.aliveAt) / 1000);
}

function isGenerator(value: unknown): value is AsyncGenerator<unknown, unknown, void> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value && "throw" in value;
}

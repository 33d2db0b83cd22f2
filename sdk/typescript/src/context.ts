import { Batch, BatchResults, MemberResults } from "./batch.js";
import { FIRST_MEMBER, stepUuid, uuid7 } from "./ids.js";
import { plainJson, type Json } from "./json.js";
import { bound, jsonLogger, type Logger } from "./log.js";
import { ConfigurationError, StepValidationError } from "./step-errors.js";

/** What a step has saved of its progress. */
export interface CheckpointState {
  readonly cursor: Json;
  readonly items_processed: number;
  readonly accumulated: Json;
}

/** What is said with a checkpoint beside its cursor. */
export interface CheckpointOptions {
  itemsProcessed?: number;
  /** Replaces what was accumulated before. */
  accumulated?: unknown;
}

/** A checkpoint that a handler yields. */
export class Checkpoint {
  constructor(
    readonly cursor: unknown,
    readonly options: CheckpointOptions,
  ) {}
}

/**
 * What a handler that is an async generator yields: `yield checkpoint(row, { itemsProcessed: row })`. When the generator
 * goes on, the checkpoint is durable.
 */
export function checkpoint(cursor: unknown, options: CheckpointOptions = {}): Checkpoint {
  return new Checkpoint(cursor, options);
}

/** What a context is made of. All of it may be left out: `new StepContext({ input: { amount: 5 } })` is for tests. */
export interface ContextFields {
  taskUuid?: string;
  stepName?: string;
  number?: number;
  attempt?: number;
  tries?: number;
  maxAttempts?: number;
  input?: unknown;
  /** By the names of steps; of a batch a MemberResults. */
  results?: Readonly<Record<string, unknown>> | ReadonlyMap<string, unknown>;
  /** Steps before this one whose results were not fetched, because the handler declares others. */
  unfetched?: ReadonlySet<string>;
  configuration?: unknown;
  correlationId?: string | null;
  checkpoint?: CheckpointState | null;
  /** Of a member of a batch. */
  batch?: Batch | null;
  /** Of a step with `for_each`. */
  item?: unknown;
  itemIndex?: number | null;
  batchSize?: number;
  signal?: AbortSignal;
  secondsLeft?: () => number | null;
  live?: () => void;
  save?: (state: CheckpointState) => Promise<void>;
  logger?: Logger;
}

/**
 * One execution of one step.
 *
 * Values read from it belong to this execution: a handler may change them, and no other step sees it. `I` is the task's
 * input.
 */
export class StepContext<I extends object = any> {
  readonly taskUuid: string;
  readonly stepName: string;
  /** The step's number in its task. */
  readonly number: number;
  /** It rises with every grant of the step and never falls. */
  readonly attempt: number;
  /** How many executions ended before this one: 0 the first time, and again 0 after an operator reset the step. */
  readonly retryCount: number;
  /** The limit of executions, the first one included. */
  readonly maxAttempts: number;
  readonly correlationId: string | null;
  /** What this member of a batch is to do; null in a step that is none. */
  readonly batch: Batch | null;
  /** The item that this execution of a step with `for_each` is for. */
  readonly item: any;
  /** Its place in the list, from 0; null in a step without `for_each`. */
  readonly itemIndex: number | null;
  /** For a batchable step: how many rows a part should have. */
  readonly batchSize: number;
  /** Aborted when the attempt was cancelled, taken away, ran past its timeout, or the worker stops: pass it on. */
  readonly signal: AbortSignal;
  readonly logger: Logger;
  readonly #fields: ContextFields;
  readonly #results: ReadonlyMap<string, unknown>;
  readonly #read = new Map<string, any>();
  #checkpoint: CheckpointState | null;
  #members: ReadonlyMap<string, unknown> | null = null;

  constructor(fields: ContextFields = {}) {
    this.#fields = fields;
    this.taskUuid = fields.taskUuid ?? uuid7();
    this.stepName = fields.stepName ?? "step";
    this.number = fields.number ?? 1;
    this.attempt = fields.attempt ?? 1;
    this.retryCount = fields.tries ?? 0;
    this.maxAttempts = fields.maxAttempts ?? 3;
    this.correlationId = fields.correlationId ?? null;
    this.batch = fields.batch ?? null;
    this.item = structuredClone(fields.item ?? null);
    this.itemIndex = fields.itemIndex ?? null;
    this.batchSize = fields.batchSize ?? 1000;
    this.signal = fields.signal ?? new AbortController().signal;
    this.logger = bound(fields.logger ?? jsonLogger(), {
      task_uuid: this.taskUuid,
      step: this.stepName,
      attempt: this.attempt,
      correlation_id: this.correlationId,
    });
    const results = fields.results ?? {};
    this.#results = results instanceof Map ? results : new Map(Object.entries(results));
    this.#checkpoint = fields.checkpoint ?? null;
  }

  // What the task was given.

  /** The task's input: the same for all its steps. */
  get input(): I {
    return this.#once("input", () => structuredClone(this.#fields.input ?? {}));
  }

  /** One field of the task's input; undefined where it is missing. */
  getInput<K extends keyof I & string>(key: K): I[K] | undefined {
    return Object.hasOwn(this.input, key) ? this.input[key] : undefined;
  }

  /** One field of the task's input; the default where it is missing or null. */
  getInputOr<K extends keyof I & string, D>(key: K, otherwise: D): NonNullable<I[K]> | D {
    return this.getInput(key) ?? otherwise;
  }

  // What the steps before this one returned.

  /** The results of all steps before this one, parents and further ancestors, by their names. */
  get dependencyResults(): Record<string, any> {
    return Object.fromEntries(this.getDependencyResultKeys().map((name) => [name, this.getDependencyResult(name)]));
  }

  /**
   * The result of a step before this one; null where it has none. That of a batch is a `BatchResults`; a member of it is
   * found by its own name.
   *
   * @throws ConfigurationError where the handler declares dependencies, and not this one: then it was not fetched.
   */
  getDependencyResult<T = any>(step: string): T | null {
    if (this.#fields.unfetched?.has(step)) {
      throw new ConfigurationError(`the result of step "${step}" was not fetched: add it to the handler's dependsOn`);
    }
    return this.#once(`result ${step}`, () => {
      const found = this.#results.get(step) ?? this.#memberResults.get(step) ?? null;
      return found instanceof MemberResults ? new BatchResults(found) : structuredClone(found);
    });
  }

  /** What lies under `path` in a result, by keys and indexes; null where there is nothing. */
  getDependencyField<T = any>(step: string, ...path: (string | number)[]): T | null {
    let value: any = this.getDependencyResult(step);
    for (const key of path) {
      if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return null;
      value = value[key];
    }
    return value;
  }

  /** The names of the steps before this one whose results are here. */
  getDependencyResultKeys(): string[] {
    return [...this.#results.keys()];
  }

  /**
   * The results of the steps whose names begin with `prefix`, in the order of their names, none of them null. Of a batch
   * they are those of its members, each by itself.
   */
  getAllDependencyResults<T = any>(prefix: string): T[] {
    const single = [...this.#results].filter(([, value]) => !(value instanceof MemberResults)).map(([name]) => name);
    const names = [...new Set([...single, ...this.#memberResults.keys()])].sort();
    const found = names.filter((name) => name.startsWith(prefix)).map((name) => this.getDependencyResult(name));
    return found.filter((value) => value !== null);
  }

  /** `handler.initialization` of the step in the template. */
  get configuration(): Record<string, any> {
    return this.#once("configuration", () => structuredClone(this.#fields.configuration ?? {}));
  }

  /** One key of the configuration; undefined where it is missing. */
  getConfig(key: string): any {
    return this.configuration[key];
  }

  // Which execution this is.

  /** The step's public id, the same for every attempt. */
  get stepUuid(): string {
    return stepUuid(this.taskUuid, this.number);
  }

  /**
   * `task_uuid:step_name`: the same for every attempt of this step, and for no other step. A step runs at least once:
   * give this to whatever must not happen twice.
   */
  get idempotencyKey(): string {
    return `${this.taskUuid}:${this.stepName}`;
  }

  /** True from the second execution on. */
  isRetry(): boolean {
    return this.retryCount > 0;
  }

  /** True when the step fails for good if this execution fails. */
  isLastRetry(): boolean {
    return this.retryCount >= this.maxAttempts - 1;
  }

  /** True where this is one of the many runs of a batch. */
  isMember(): boolean {
    return this.number >= FIRST_MEMBER;
  }

  /** True when the attempt was told to stop: what the handler returns after that is not recorded. */
  get cancelled(): boolean {
    return this.signal.aborted;
  }

  /** Seconds until the step's timeout, never below 0; null where it has none. */
  get secondsLeft(): number | null {
    return this.#fields.secondsLeft?.() ?? null;
  }

  /** Says that a long step is alive and gets its time anew. Cheap, and throws nothing. */
  heartbeat(): void {
    this.#fields.live?.();
  }

  // How far it has come.

  /** True when there is something to go on from. */
  get hasCheckpoint(): boolean {
    return this.#checkpoint !== null;
  }

  /** Where to go on; null at the beginning. */
  get checkpointCursor(): any {
    return structuredClone(this.#checkpoint?.cursor ?? null);
  }

  /** How many items were processed until there. */
  get checkpointItemsProcessed(): number {
    return this.#checkpoint?.items_processed ?? 0;
  }

  /** What had been accumulated until there; null where nothing was. */
  get accumulatedResults(): any {
    return structuredClone(this.#checkpoint?.accumulated ?? null);
  }

  /**
   * Saves how far the step has come; it is durable when this is done. The next attempt, on whatever worker, finds it.
   *
   * @throws StepValidationError for what is too large or no JSON, RetryableError where this attempt was taken away.
   */
  async saveCheckpoint(cursor: unknown, options: CheckpointOptions = {}): Promise<void> {
    let state: CheckpointState;
    try {
      const accumulated = plainJson(options.accumulated ?? null, "accumulated");
      state = { cursor: plainJson(cursor, "cursor"), items_processed: options.itemsProcessed ?? 0, accumulated };
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new StepValidationError(`the checkpoint cannot be kept as JSON: ${why}`, { errorCode: "invalid_checkpoint" });
    }
    await this.#fields.save?.(state);
    this.#checkpoint = state;
  }

  /** Decoded once for each execution, and its own. */
  #once(key: string, make: () => any): any {
    if (!this.#read.has(key)) this.#read.set(key, make());
    return this.#read.get(key);
  }

  /** The results of the members of all batches before this step, by their names. */
  get #memberResults(): ReadonlyMap<string, unknown> {
    if (this.#members === null) {
      const batches = [...this.#results].filter((one): one is [string, MemberResults] => one[1] instanceof MemberResults);
      this.#members = new Map(
        batches.flatMap(([name, found]) => found.members.map((one) => [`${name}_${one.batch_id}`, one.result] as const)),
      );
    }
    return this.#members;
  }
}

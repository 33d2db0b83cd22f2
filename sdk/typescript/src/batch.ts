import { StepValidationError } from "./step-errors.js";
import type { Json, JsonObject } from "./json.js";

/** Under this key of a batchable step's result stand its parts. */
export const BATCH_KEY = "batch_processing_outcome";

/** What may be said of a batch beside its parts; it is kept with the result, for the steps that follow. */
export interface BatchesOptions {
  totalItems?: number | undefined;
  context?: Record<string, unknown>;
}

/** What the handler of a batchable step returns: `Batches.split(1000, 200)`, `Batches.ranges(…)`, `Batches.none()`. */
export class Batches {
  private constructor(
    readonly cursors: readonly Record<string, unknown>[],
    readonly totalItems: number | null,
    readonly context: Record<string, unknown>,
  ) {}

  /**
   * Rows 0 to `total`, `size` in each part but the last; none where there is nothing. The worker of a part does the
   * rows from `start` up to, not including, `end`.
   */
  static split(total: number, size: number, context: Record<string, unknown> = {}): Batches {
    if (!Number.isInteger(size) || !Number.isInteger(total) || size < 1 || total < 0) {
      throw new StepValidationError(`${total} rows in parts of ${size} cannot be: the size begins at 1, the total at 0`);
    }
    const ranges: [number, number][] = [];
    for (let start = 0; start < total; start += size) ranges.push([start, Math.min(start + size, total)]);
    return Batches.ranges(ranges, { totalItems: total, context });
  }

  /**
   * A part for each pair of start and end: numbers, text, dates, whatever JSON holds. A third value is the number of its
   * rows, where start and end do not say it.
   */
  static ranges(ranges: Iterable<readonly [unknown, unknown, number?]>, options: BatchesOptions = {}): Batches {
    const cursors = [...ranges].map(([start, end, size], index) => {
      const isCounted = Number.isInteger(start) && Number.isInteger(end);
      const rows = size ?? (isCounted ? (end as number) - (start as number) : undefined);
      const cursor = { batch_id: numbered(index), start_cursor: start, end_cursor: end };
      return rows === undefined ? cursor : { ...cursor, batch_size: rows };
    });
    return new Batches(cursors, options.totalItems ?? null, options.context ?? {});
  }

  /** A part for each cursor, with any keys; one without `batch_id` is numbered. */
  static of(cursors: Iterable<Record<string, unknown>>, options: BatchesOptions = {}): Batches {
    const made = [...cursors].map((cursor, index) => ({ batch_id: numbered(index), ...cursor }));
    return new Batches(made, options.totalItems ?? null, options.context ?? {});
  }

  /** There is nothing to do. One worker runs all the same, and is told so (`batch.isNoOp`). */
  static none(reason?: string, context: Record<string, unknown> = {}): Batches {
    return new Batches([], 0, reason === undefined ? context : { reason, ...context });
  }

  /** The step's result. */
  toResult(): Record<string, unknown> {
    const counts = { worker_count: this.cursors.length, total_items: this.totalItems };
    const outcome = this.cursors.length
      ? { type: "create_batches", ...counts, cursor_configs: this.cursors }
      : { type: "no_batches" };
    return { ...this.context, [BATCH_KEY]: outcome };
  }
}

function numbered(index: number): string {
  return String(index + 1).padStart(3, "0");
}

/** What one worker of a batch is to do. */
export class Batch {
  constructor(
    readonly batchId: string,
    /** Its place in the batch, from 1; 0 for the one that is told that there is nothing. */
    readonly index: number,
    /** All that the batchable step said of this part. */
    readonly cursor: Readonly<Record<string, any>>,
    readonly cursorField = "id",
    readonly failureStrategy = "continue_on_failure",
  ) {}

  /** True where there is nothing to do. */
  get isNoOp(): boolean {
    return this.index === 0;
  }

  /** Where the part begins. */
  get start(): any {
    return this.cursor["start_cursor"];
  }

  /** Where it ends; of numbers, the first that is not in it. */
  get end(): any {
    return this.cursor["end_cursor"];
  }

  /** How many rows it has, where that is known. */
  get size(): number | undefined {
    return this.cursor["batch_size"] as number | undefined;
  }
}

/** How one member of a batch ended. */
export interface Member {
  readonly batch_id: string;
  readonly result: Json;
  readonly error: Json;
}

/** What is kept of a batch itself, and how its members ended, in their order. */
export class MemberResults {
  constructor(
    readonly counts: JsonObject,
    readonly members: readonly Member[],
  ) {}
}

/**
 * What the members of a batch returned, in their order: null for one that failed. `total`, `succeeded` and `failed`
 * count the members, `items` the rows that they were to do, as far as that is known.
 */
export class BatchResults<T = any> extends Array<T | null> {
  readonly total: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly items: number;
  /** By id: the errors of those that failed. */
  readonly errors: Readonly<Record<string, any>>;
  /** The results by id, of those that returned one. */
  readonly byId: Readonly<Record<string, T>>;

  /** What `map` and its like make is a plain array. */
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }

  constructor(found: MemberResults) {
    super();
    const members = structuredClone(found.members);
    this.push(...members.map((one) => one.result as T | null));
    const count = (name: string): number => Number(found.counts[name] ?? 0);
    this.total = Number(found.counts["total"] ?? members.length);
    [this.succeeded, this.failed, this.items] = [count("succeeded"), count("failed"), count("items")];
    const having = (name: "result" | "error"): [string, any][] =>
      members.filter((one) => one[name] !== null).map((one) => [one.batch_id, one[name]]);
    this.errors = Object.fromEntries(having("error"));
    this.byId = Object.fromEntries(having("result"));
  }
}

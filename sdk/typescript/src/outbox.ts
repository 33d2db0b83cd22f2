import type { Held } from "./held.js";
import { isSuccess } from "./outcomes.js";

const BATCH_MAX = 500;
const DEFERRED_ROUNDS_MAX = 4;
const LATE_PAUSE_MS = 20;
const LATE_PAUSE_MS_MAX = 1000;

/** Outcomes for one turn. Late ones are of one task, and may wait a moment for it. */
export interface OutcomeBatch {
  readonly held: readonly Held[];
  readonly isLate: boolean;
}

/**
 * Outcomes on their way to the server. Most leave with the next turn; those of a task that is busy come back, and what
 * comes back often is late: it goes by itself, now and then, so that one stuck task holds nobody else up.
 */
export class Outbox {
  readonly #ready = new Set<Held>();
  readonly #late = new Set<Held>();
  #lateAt = 0;
  #batchMax = BATCH_MAX;

  put(held: Held): void {
    if (!this.#late.has(held)) this.#ready.add(held);
  }

  /** Its task is busy. */
  defer(held: Held): void {
    held.rounds += 1;
    if (held.rounds < DEFERRED_ROUNDS_MAX) {
      this.#ready.add(held);
      return;
    }
    this.#late.add(held);
    const pauseMs = Math.min(LATE_PAUSE_MS * 2 ** (held.rounds - DEFERRED_ROUNDS_MAX), LATE_PAUSE_MS_MAX);
    this.#lateAt = performance.now() + pauseMs;
  }

  /** What to report now; null where there is nothing. It is out of the box until it is put back. */
  take(): OutcomeBatch | null {
    const task = this.#nextMs === 0 ? [...this.#late][0]?.fence.task_uuid : undefined;
    if (task !== undefined) {
      return this.#taken(this.#late, [...this.#late].filter((one) => one.fence.task_uuid === task), true);
    }
    return this.#ready.size ? this.#taken(this.#ready, [...this.#ready], false) : null;
  }

  #taken(from: Set<Held>, held: Held[], isLate: boolean): OutcomeBatch {
    const batch = held.slice(0, this.#batchMax);
    for (const one of batch) from.delete(one);
    return { held: batch, isLate };
  }

  /** A batch of so many was too much for the server: send half, until it went. */
  halve(count: number): void {
    this.#batchMax = Math.max(1, Math.floor(count / 2));
  }

  /** It went. */
  grow(): void {
    this.#batchMax = Math.min(BATCH_MAX, this.#batchMax * 2);
  }

  /** Milliseconds until something can be reported; null where there is nothing. */
  get nextMs(): number | null {
    if (this.#ready.size) return 0;
    return this.#late.size ? this.#nextMs : null;
  }

  get #nextMs(): number {
    return Math.max(0, this.#lateAt - performance.now());
  }

  get size(): number {
    return this.#ready.size + this.#late.size;
  }

  /** What is in it, in no order. */
  list(): Held[] {
    return [...this.#ready, ...this.#late];
  }

  clear(): void {
    this.#ready.clear();
    this.#late.clear();
  }
}

/** An outcome as the protocol has it, with its result as the text that it is. */
export function outcomeText({ fence, outcome, runS }: Held): string {
  const { kind, text, retryAfterS } = outcome!;
  const head = JSON.stringify({ ...fence, kind, run_s: runS, retry_after_s: retryAfterS ?? null });
  if (text === undefined) return head;
  return `${head.slice(0, -1)},"${isSuccess(outcome) ? "result" : "error"}":${text}}`;
}

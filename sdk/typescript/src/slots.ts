import type { Held } from "./held.js";

/**
 * The steps that run in this process, and how many more may.
 *
 * A handler that does not stop when it is told to keeps its slot until it returns (it lingers); until then its step is
 * not started in this process again.
 */
export class Slots {
  readonly #running = new Map<string, Held>();
  readonly #lingering = new Map<string, Held>();
  /** Granted, and not yet started: what they need is being loaded. */
  coming = 0;

  constructor(readonly size: number) {}

  /** How many steps may be started now. */
  get free(): number {
    return Math.max(0, this.size - this.#running.size - this.#lingering.size - this.coming);
  }

  /** The steps that run. */
  get running(): Held[] {
    return [...this.#running.values()];
  }

  get count(): number {
    return this.#running.size;
  }

  get hasLingering(): boolean {
    return this.#lingering.size > 0;
  }

  take(held: Held): void {
    this.#running.set(held.place, held);
  }

  giveBack(held: Held): void {
    if (this.#running.get(held.place) === held) this.#running.delete(held.place);
  }

  /** The step's outcome is known, but its handler runs on. */
  linger(held: Held): void {
    this.giveBack(held);
    this.#lingering.set(held.place, held);
  }

  endLinger(held: Held): void {
    if (this.#lingering.get(held.place) === held) this.#lingering.delete(held.place);
  }

  /** The step that runs under this place, wanted or not. */
  find(place: string): Held | null {
    return this.#running.get(place) ?? this.#lingering.get(place) ?? null;
  }
}

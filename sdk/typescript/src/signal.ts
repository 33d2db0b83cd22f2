/** Something to wait for that may have happened before. */
export class Signal {
  #isSet = false;
  #resume: (() => void) | null = null;

  set(): void {
    this.#isSet = true;
    this.#resume?.();
  }

  clear(): void {
    this.#isSet = false;
  }

  /** Returns when it is set, or after so long; whether it is set. One at a time may wait. */
  async wait(ms: number): Promise<boolean> {
    if (this.#isSet || ms <= 0) return this.#isSet;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#resume = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#resume = null;
    return this.#isSet;
  }
}

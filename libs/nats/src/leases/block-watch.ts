/** Time that one look counts for at most: a process that was frozen as a whole, or a machine that slept, was not blocked. */
const LONGEST_STEP_MS = 1000;

/**
 * For how long the main thread has been silent, as far as a thread beside it has seen. Time in which that thread did not run
 * either is not counted.
 */
export class BlockWatch {
  #sign = Number.NaN;
  #lookedAtMs: number | undefined;
  #silentMs = 0;

  /**
   * @param sign of life: what the main thread changes as long as its event loop turns
   * @returns milliseconds of silence
   */
  look(nowMs: number, sign: number): number {
    const stepMs = nowMs - (this.#lookedAtMs ?? nowMs);
    this.#lookedAtMs = nowMs;
    if (sign === this.#sign) this.#silentMs += Math.min(Math.max(0, stepMs), LONGEST_STEP_MS);
    else this.#silentMs = 0;
    this.#sign = sign;
    return this.#silentMs;
  }
}

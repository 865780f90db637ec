/** Bounds of how long a command is deferred that was delivered again while new ones wait. */
const MIN_DEFERRAL_MS = 100;
const MAX_DEFERRAL_MS = 30_000;
const MAX_SKIP_ALLOWANCE = 256;
/** Commands a second that are deferred to come back, at least. Too many costs a delivery each, too few leaves slots idle. */
const MIN_RATE = 100;
/** What is left of the best rate after a tick. */
const RATE_DECAY = 0.998;
const TICKS_PER_SECOND = 10;

/**
 * The server delivers what comes again before anything new, so that ten thousand retries that are due would stop a workflow for as long as
 * they take. While new commands wait, retries have half of the places, and the rest is deferred. Pure.
 */
export class RetryShare {
  #held = 0;
  /** Commands settled in a second, as the best of late. */
  #rate = MIN_RATE;
  #nextTurnMs = 0;
  #deferredInTick = 0;
  #skipAllowance = 0;

  /** To be asked for beyond the slots while commands are deferred: to get past them to the new ones behind. */
  get skipAllowance(): number {
    return this.#skipAllowance;
  }

  /** A command that was delivered before is held from now on. */
  take(): void {
    this.#held++;
  }

  release(): void {
    this.#held--;
  }

  /**
   * Whether one more command that was delivered before is too many.
   * @param places for commands in this process: slots and prefetched ones
   * @param pending new commands that wait behind it
   */
  isFull(places: number, pending: number): boolean {
    return pending > 0 && this.#held >= Math.max(1, places / 2);
  }

  /** Defers a command until its turn, at the rate at which this process settles. @returns milliseconds to wait */
  defer(nowMs: number): number {
    this.#deferredInTick++;
    const turnMs = Math.max(nowMs + MIN_DEFERRAL_MS, this.#nextTurnMs + 1000 / this.#rate);
    this.#nextTurnMs = Math.min(turnMs, nowMs + MAX_DEFERRAL_MS);
    return this.#nextTurnMs - nowMs;
  }

  /** @param settled commands settled since the last tick, a tenth of a second ago */
  tick(settled: number): void {
    this.#skipAllowance = Math.min(MAX_SKIP_ALLOWANCE, 2 * this.#deferredInTick);
    this.#deferredInTick = 0;
    this.#rate = Math.max(MIN_RATE, TICKS_PER_SECOND * settled, this.#rate * RATE_DECAY);
  }
}

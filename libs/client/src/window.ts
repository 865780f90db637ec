/** Messages in flight to begin with: enough for full speed on a local network. */
const START = 512;
const LEAST = 64;
/** Acknowledgements younger than this let the window grow. */
const FAST_TICKS = 2;

/**
 * How many messages may be in flight. The server works them off in order, so a message waits for all before it: the
 * window grows while acknowledgements come fast, and shrinks before the wait comes near the timeout, so that a slow
 * disk makes callers wait in the queue, where no timeout runs, and not in flight, where it does.
 */
export class Window {
  readonly #max: number;
  readonly #slowTicks: number;
  #size: number;
  #shrunkAt = 0;

  /** @param timeoutTicks the timeout that waiting in flight must stay well below */
  constructor(max: number, timeoutTicks: number) {
    this.#max = max;
    this.#size = Math.min(max, START);
    this.#slowTicks = Math.max(FAST_TICKS + 1, Math.floor(timeoutTicks / 5));
  }

  get size(): number {
    return this.#size;
  }

  /** @param scarce callers wait because of the window */
  acknowledged(count: number, writtenAt: number, now: number, scarce: boolean): void {
    const age = now - writtenAt;
    if (age <= FAST_TICKS) {
      if (scarce && this.#size < this.#max) this.#size = Math.min(this.#max, this.#size + count);
    } else if (age >= this.#slowTicks) {
      this.shrink(writtenAt, now);
    }
  }

  /** Once for all messages that were written before the last shrinking. */
  shrink(writtenAt: number, now: number): void {
    if (writtenAt < this.#shrunkAt) return;
    this.#shrunkAt = now;
    this.#size = Math.max(Math.min(LEAST, this.#max), Math.floor(this.#size * 0.7));
  }
}

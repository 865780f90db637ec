/** Messages in flight to begin with: enough for full speed on a local network. */
const START = 256;
const LEAST = 64;
/** Weight of the last tick in the rate. */
const WEIGHT = 0.3;

/**
 * How many messages may be in flight: as many as the server has lately acknowledged in a fifth of the timeout. It works
 * them off in order, so a message waits for all before it: on a slow disk callers wait in the queue, where no timeout
 * runs, and not in flight, where it does. A window that is too small is worked off sooner than that, and grows.
 */
export class Window {
  readonly #max: number;
  readonly #aheadTicks: number;
  #size: number;
  #perTick: number;

  /** @param timeoutTicks the timeout that waiting in flight must stay well below */
  constructor(max: number, timeoutTicks: number) {
    this.#max = max;
    this.#aheadTicks = Math.max(1, timeoutTicks / 5);
    this.#size = Math.min(max, START);
    this.#perTick = this.#size / this.#aheadTicks;
  }

  get size(): number {
    return this.#size;
  }

  /**
   * @param acknowledged messages of the last tick
   * @param scarce callers wait because of the window; otherwise the rate is theirs, and says nothing about the server
   */
  tick(acknowledged: number, scarce: boolean): void {
    if (!scarce) return;
    this.#perTick += WEIGHT * (acknowledged - this.#perTick);
    this.#size = Math.max(Math.min(LEAST, this.#max), Math.min(this.#max, Math.floor(this.#perTick * this.#aheadTicks)));
  }
}

/** Resolution of timeouts. They count ticks, not the clock: a blocked event loop times out no message whose answer waits in the socket. */
export const TICK_MS = 50;
/** Ticks without work after which the timer stops. */
const IDLE_TICKS = 20;

/** The ticks that a time takes, at least. */
export function ticksOf(ms: number): number {
  return Math.ceil(ms / TICK_MS);
}

/** Counts ticks while there is work, and calls back at each. */
export class TickTimer {
  readonly #onTick: () => boolean;
  #now = 0;
  #idleTicks = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param onTick returns whether there is work */
  constructor(onTick: () => boolean) {
    this.#onTick = onTick;
  }

  /** Ticks since the timer was made. */
  get now(): number {
    return this.#now;
  }

  start(): void {
    if (this.#timer === undefined) this.#timer = setInterval(() => this.#tick(), TICK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#idleTicks = 0;
  }

  #tick(): void {
    this.#now++;
    if (this.#onTick()) this.#idleTicks = 0;
    else if (++this.#idleTicks >= IDLE_TICKS) this.stop();
  }
}

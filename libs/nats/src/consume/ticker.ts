import { monotonicMs } from '@loopstack/shared';

const TICK_MS = 100;
/** A tick that is this late means that the event loop was blocked, or the process frozen. */
const BEHIND_MS = 300;

export interface TickListener {
  /** `late`: the event loop was blocked for longer than a heartbeat, so the silence of a server proves nothing. */
  tick(nowMs: number, late: boolean): void;
}

/** The one clock of all that this process consumes: ten ticks a second while something listens. */
export class Ticker {
  readonly #heartbeatMs: number;
  readonly #answered: () => Promise<void>;
  readonly #now: () => number;
  readonly #listeners = new Set<TickListener>();
  #timer: NodeJS.Timeout | undefined;
  #tickedAtMs = 0;
  #behindSinceMs: number | undefined;

  /** @param answered resolves when the server has answered what is asked now */
  constructor(heartbeatMs: number, answered: () => Promise<void>, now = monotonicMs) {
    this.#heartbeatMs = heartbeatMs;
    this.#answered = answered;
    this.#now = now;
  }

  add(listener: TickListener): void {
    this.#listeners.add(listener);
    if (this.#timer) return;
    this.#tickedAtMs = this.#now();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  remove(listener: TickListener): void {
    this.#listeners.delete(listener);
    if (this.#listeners.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /**
   * Since when a message that arrives now may have been on its way: its lease runs from there. While the event loop is behind, messages may
   * have waited for as long, until the server answers a question of now.
   */
  onItsWaySince(nowMs: number): number {
    if (this.#behindSinceMs === undefined && nowMs - this.#tickedAtMs > BEHIND_MS) {
      this.#behindSinceMs = this.#tickedAtMs;
      const caughtUp = (): void => (this.#behindSinceMs = undefined);
      this.#answered().then(caughtUp, caughtUp);
    }
    return this.#behindSinceMs ?? nowMs;
  }

  /** Nothing that was on its way over the old connection arrives any more. */
  reconnected(): void {
    this.#behindSinceMs = undefined;
  }

  #tick(): void {
    const now = this.#now();
    this.onItsWaySince(now);
    const late = now - this.#tickedAtMs > TICK_MS + this.#heartbeatMs;
    this.#tickedAtMs = now;
    for (const listener of this.#listeners) listener.tick(now, late);
  }
}

import type { ReplayProgress } from './meter.js';

const TICK_MS = 250;

/** Tells an observer how a replay goes. An error of the observer is reported once and does not end the replay. */
export class ProgressTicker {
  readonly #id: string;
  readonly #read: () => ReplayProgress;
  readonly #observe: (progress: ReplayProgress) => unknown;
  readonly #timer: NodeJS.Timeout;
  #hasWarned = false;

  constructor(id: string, read: () => ReplayProgress, observe: (progress: ReplayProgress) => unknown = () => undefined) {
    this.#id = id;
    this.#read = read;
    this.#observe = observe;
    this.#timer = setInterval(() => this.tick(), TICK_MS);
  }

  tick(): void {
    try {
      // The observer may return a promise all the same.
      Promise.resolve(this.#observe(this.#read())).catch(() => this.#warn());
    } catch {
      this.#warn();
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #warn(): void {
    if (!this.#hasWarned) process.emitWarning(`onProgress of replay ${this.#id} failed; the replay goes on`, 'LoopstackWarning');
    this.#hasWarned = true;
  }
}

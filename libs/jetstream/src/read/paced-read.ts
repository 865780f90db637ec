import { monotonicMs } from '@loopstack/shared/contract';

/**
 * Reads at most one at a time and one in each `everyMs`, however often it is asked: an answer is of a read that began after the
 * question, and who asks meanwhile shares the next one.
 */
export class PacedRead<T> {
  readonly #read: () => Promise<T>;
  readonly #everyMs: number;
  #next: Promise<T> | undefined;
  #reading: Promise<unknown> = Promise.resolve();
  #begunMs = 0;

  constructor(read: () => Promise<T>, everyMs: number) {
    this.#read = read;
    this.#everyMs = everyMs;
  }

  ask(): Promise<T> {
    return (this.#next ??= this.#inTurn());
  }

  async #inTurn(): Promise<T> {
    await this.#reading;
    const waitMs = this.#begunMs + this.#everyMs - monotonicMs();
    if (this.#begunMs > 0 && waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    this.#begunMs = monotonicMs();
    this.#next = undefined;
    const reading = this.#read();
    this.#reading = reading.catch(() => undefined);
    return reading;
  }
}

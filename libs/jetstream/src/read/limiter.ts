import { Fifo } from '../publish/queue/fifo.js';

/** Bounds how much of something is done at once; the rest waits, in order. */
export class Limiter {
  #free: number;
  readonly #waiting = new Fifo<() => void>();

  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}

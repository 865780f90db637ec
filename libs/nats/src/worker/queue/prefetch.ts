/**
 * Most commands of one lane that a process holds beyond its slots. What is held survives the collection of young objects,
 * which copies it: with 2,048 a recorded run took half as long again as with 512, and with 256 neither was faster.
 */
export const MAX_PREFETCH = 512;

/**
 * How many commands a lane takes ahead of free slots: what this process settles in a fifth of a second. A slow workflow takes none that
 * another worker could start. Pure.
 */
export class Prefetch {
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** @param settled commands settled since the last tick, a tenth of a second ago */
  tick(settled: number): void {
    this.#size = Math.min(MAX_PREFETCH, Math.max(2 * settled, this.#size >> 1));
  }
}

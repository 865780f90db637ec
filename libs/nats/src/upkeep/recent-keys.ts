/** Keys and when each was added; the oldest ones are forgotten where there are too many. */
export class RecentKeys {
  readonly #limit: number;
  readonly #atMs = new Map<string, number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#atMs.size;
  }

  add(key: string, atMs: number): void {
    this.#atMs.delete(key);
    this.#atMs.set(key, atMs);
    if (this.#atMs.size <= this.#limit) return;
    for (const oldest of this.#atMs.keys()) {
      this.#atMs.delete(oldest);
      return;
    }
  }

  /** Whether it was added after that; one that was not is forgotten. */
  has(key: string, afterMs: number): boolean {
    const atMs = this.#atMs.get(key);
    if (atMs !== undefined && atMs <= afterMs) this.#atMs.delete(key);
    return atMs !== undefined && atMs > afterMs;
  }
}

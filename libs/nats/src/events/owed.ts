/** Events that are kept in mind one by one. */
const MAX_OWED = 1024;

/**
 * Events that were given back, with the time by which they have been delivered again, here or elsewhere. Of many, the first one stands
 * for all: a consumer that is restored begins with the first that is owed.
 */
export class Owed {
  readonly #byMs = new Map<number, number>();

  get size(): number {
    return this.#byMs.size;
  }

  add(sequence: number, byMs: number, nowMs: number): void {
    if (this.#byMs.size >= MAX_OWED) this.forgetDelivered(nowMs);
    if (this.#byMs.size >= MAX_OWED) this.#gather();
    this.#byMs.set(sequence, Math.max(byMs, this.#byMs.get(sequence) ?? 0));
  }

  delivered(sequence: number): void {
    this.#byMs.delete(sequence);
  }

  forgetDelivered(nowMs: number): void {
    for (const [sequence, byMs] of this.#byMs) if (byMs < nowMs) this.#byMs.delete(sequence);
  }

  /** Undefined: none is owed. */
  get first(): number | undefined {
    let first: number | undefined;
    for (const sequence of this.#byMs.keys()) if (first === undefined || sequence < first) first = sequence;
    return first;
  }

  #gather(): void {
    const { first } = this;
    let lastMs = 0;
    for (const byMs of this.#byMs.values()) lastMs = Math.max(lastMs, byMs);
    this.#byMs.clear();
    if (first !== undefined) this.#byMs.set(first, lastMs);
  }
}

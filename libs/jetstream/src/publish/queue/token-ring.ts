const FIRST_CAPACITY = 1024;

/**
 * Values by tokens that count up, most of which leave in the order in which they came. A Map makes its table anew every few
 * hundred of them, and the first of these tables that the collector takes for old keeps everything alive that was in later ones.
 */
export class TokenRing<T> {
  #slots: (T | undefined)[] = Array.from({ length: FIRST_CAPACITY });
  /** The oldest token that is held; `#next` if none is. */
  #first = 1;
  #next = 1;

  /** @returns the token of the value: from 1, each one higher than the one before */
  add(value: T): number {
    if (this.#next - this.#first === this.#slots.length) this.#grow();
    const token = this.#next++;
    this.#slots[this.#place(token)] = value;
    return token;
  }

  get(token: number): T | undefined {
    return token >= this.#first && token < this.#next ? this.#slots[this.#place(token)] : undefined;
  }

  /** @returns whether it was held */
  delete(token: number): boolean {
    if (this.get(token) === undefined) return false;
    this.#slots[this.#place(token)] = undefined;
    while (this.#first < this.#next && this.#slots[this.#place(this.#first)] === undefined) this.#first++;
    return true;
  }

  /** In the order of their tokens; values may be added, which are not visited, and deleted meanwhile. */
  *[Symbol.iterator](): Generator<[number, T]> {
    const end = this.#next;
    for (let token = this.#first; token < end; token++) {
      const value = this.get(token);
      if (value !== undefined) yield [token, value];
    }
  }

  #place(token: number): number {
    return token & (this.#slots.length - 1);
  }

  #grow(): void {
    const held = [...this];
    this.#slots = Array.from({ length: this.#slots.length * 2 });
    for (const [token, value] of held) this.#slots[this.#place(token)] = value;
  }
}

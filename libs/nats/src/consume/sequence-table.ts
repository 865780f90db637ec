const FIRST_CAPACITY = 16;

/**
 * Messages by their sequence in the stream. A Map makes its table anew with every few hundred messages that come and go, and
 * the first of these tables that the collector takes for old keeps all later ones alive, with the messages that were in them.
 */
export class SequenceTable<T extends { readonly sequence: number }> implements Iterable<T> {
  /** Open addressing with linear probing; what waits in a stream is mostly consecutive, and so has places of its own. */
  #places: (T | undefined)[] = Array.from({ length: FIRST_CAPACITY });
  #size = 0;
  /** Those that are not where their search begins. While there are none, nothing has to move when one goes. */
  #displaced = 0;

  get size(): number {
    return this.#size;
  }

  get(sequence: number): T | undefined {
    return this.#places[this.#find(sequence)];
  }

  /** Takes the place of one with the same sequence. */
  put(message: T): void {
    if (2 * (this.#size + 1) > this.#places.length) this.#grow();
    const place = this.#find(message.sequence);
    if (this.#places[place] === undefined) {
      this.#size++;
      if (place !== this.#start(message)) this.#displaced++;
    }
    this.#places[place] = message;
  }

  /** Forgets this message, and no other one with its sequence. */
  delete(message: T): void {
    let free = this.#find(message.sequence);
    if (this.#places[free] !== message) return;
    this.#size--;
    if (free !== this.#start(message)) this.#displaced--;
    const places = this.#places;
    const last = places.length - 1;
    // Those behind it move up, unless that would put one before the place where its search begins.
    for (let next = (free + 1) & last; this.#displaced > 0 && places[next] !== undefined; next = (next + 1) & last) {
      const start = this.#start(places[next] as T);
      if (((next - start) & last) < ((next - free) & last)) continue;
      if (free === start) this.#displaced--;
      places[free] = places[next];
      free = next;
    }
    places[free] = undefined;
  }

  clear(): void {
    this.#places.fill(undefined);
    this.#size = this.#displaced = 0;
  }

  /** Those of now, in no order; they may come and go meanwhile. */
  [Symbol.iterator](): ArrayIterator<T> {
    const all = this.#size === 0 ? [] : this.#places.filter((message) => message !== undefined);
    return all[Symbol.iterator]();
  }

  /** Where the search for a message begins. */
  #start({ sequence }: T): number {
    // The lower 32 bits: what is beyond them differs by billions.
    return sequence & (this.#places.length - 1);
  }

  /** Where the sequence is, or would be. */
  #find(sequence: number): number {
    const last = this.#places.length - 1;
    let place = sequence & last;
    for (let found = this.#places[place]; found !== undefined && found.sequence !== sequence; found = this.#places[place]) {
      place = (place + 1) & last;
    }
    return place;
  }

  #grow(): void {
    const all = [...this];
    this.#places = Array.from({ length: 2 * this.#places.length });
    this.#size = this.#displaced = 0;
    for (const message of all) this.put(message);
  }
}

/** Takes a share of the sequences, evenly; the same ones for the same replay, in every process. */
export class Sample {
  readonly #share: number;
  readonly #seed: number;

  /** @param share above 0 to 1 */
  constructor(replayId: string, share: number) {
    this.#share = share;
    this.#seed = hash(0x811c9dc5, replayId);
  }

  has(sequence: number): boolean {
    return this.#share >= 1 || hash(this.#seed, String(sequence)) / 2 ** 32 < this.#share;
  }
}

/** FNV-1a, 32 bits. */
function hash(seed: number, text: string): number {
  let h = seed;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193) >>> 0;
  // The last digit alone moves only low bits: mix them upwards (murmur3's finalizer).
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b) >>> 0;
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35) >>> 0;
  return (h ^ (h >>> 16)) >>> 0;
}

/** Most leases that a process can have on the table; further ones are kept by the main thread alone. */
export const SLOTS = 8192;
/** Longest reply subject that fits: `$JS.ACK.` with domain, hash, two names of 64 and five numbers stays below. */
const SUBJECT_BYTES = 376;

/**
 * The lease thread renews what is a third of its period old: two renewals may be lost, and the lease still stands. It looks four times in
 * that time, so that none is late by more than a twelfth.
 */
const THREAD_RENEWALS_PER_LEASE = 3;
export const THREAD_LOOKS_PER_LEASE = 4 * THREAD_RENEWALS_PER_LEASE;
/** The main thread renews what is half of its period old: only what the lease thread has missed comes to that. */
export const MAIN_RENEWALS_PER_LEASE = 2;

const FREE = 0;
const LEASED = 1;
/** Leased, and its workflow has been called. */
const EXECUTING = 2;

/**
 * The leases of a process, in memory that the main thread and the lease thread share, so that leases are kept while the
 * main thread's event loop is blocked. The main thread acquires and releases; the thread reads and renews.
 */
export class LeaseTable {
  readonly #states: Int32Array;
  readonly #lengths: Int32Array;
  readonly #leasedAtMs: Float64Array;
  readonly #leaseMs: Float64Array;
  readonly #beat: Float64Array;
  readonly #subjects: Buffer;
  readonly #free: number[] = [];
  /** Slots from here on were never used: a scan ends here. */
  readonly #used: Int32Array;

  constructor(readonly memory: SharedArrayBuffer = new SharedArrayBuffer(8 + 8 + SLOTS * (8 + 8 + 4 + 4 + SUBJECT_BYTES))) {
    let at = 0;
    const take = (bytes: number): number => {
      at += bytes;
      return at - bytes;
    };
    this.#beat = new Float64Array(memory, take(8), 1);
    this.#used = new Int32Array(memory, take(8), 1);
    this.#leasedAtMs = new Float64Array(memory, take(SLOTS * 8), SLOTS);
    this.#leaseMs = new Float64Array(memory, take(SLOTS * 8), SLOTS);
    this.#states = new Int32Array(memory, take(SLOTS * 4), SLOTS);
    this.#lengths = new Int32Array(memory, take(SLOTS * 4), SLOTS);
    this.#subjects = Buffer.from(memory, take(SLOTS * SUBJECT_BYTES), SLOTS * SUBJECT_BYTES);
  }

  /** A slot for the lease that is answered on `reply`, or -1 if the table is full. Main thread only. */
  acquire(reply: string, leaseMs: number, nowMs: number): number {
    const used = this.#used[0] as number;
    if (Buffer.byteLength(reply) > SUBJECT_BYTES) return -1;
    const slot = this.#free.pop() ?? (used < SLOTS ? used : -1);
    if (slot < 0) return -1;
    this.#lengths[slot] = this.#subjects.write(reply, slot * SUBJECT_BYTES);
    this.#leasedAtMs[slot] = nowMs;
    this.#leaseMs[slot] = leaseMs;
    Atomics.store(this.#states, slot, LEASED);
    if (slot === used) Atomics.store(this.#used, 0, used + 1);
    return slot;
  }

  /** Its workflow is called now. Main thread only. */
  executes(slot: number): void {
    Atomics.store(this.#states, slot, EXECUTING);
  }

  /** The reply subjects of what executes. */
  executing(): string[] {
    const found: string[] = [];
    const used = Atomics.load(this.#used, 0);
    for (let slot = 0; slot < used; slot++) if (Atomics.load(this.#states, slot) === EXECUTING) found.push(this.#reply(slot));
    return found;
  }

  #reply(slot: number): string {
    const start = slot * SUBJECT_BYTES;
    return this.#subjects.toString('utf8', start, start + (this.#lengths[slot] as number));
  }

  /** Main thread only. */
  release(slot: number): void {
    Atomics.store(this.#states, slot, FREE);
    this.#free.push(slot);
  }

  leasedAtMs(slot: number): number {
    return this.#leasedAtMs[slot] as number;
  }

  renewed(slot: number, nowMs: number): void {
    this.#leasedAtMs[slot] = nowMs;
  }

  /** The main thread says that it is alive. */
  beat(nowMs: number): void {
    this.#beat[0] = nowMs;
  }

  get beatAtMs(): number {
    return this.#beat[0] as number;
  }

  /**
   * Calls `renew` for each lease that is a third of its period old, or `atLatestMs`, and not older than the period, and marks it renewed.
   */
  renewDue(nowMs: number, renew: (reply: string) => void, atLatestMs = Number.POSITIVE_INFINITY): void {
    const used = Atomics.load(this.#used, 0);
    for (let slot = 0; slot < used; slot++) {
      if (Atomics.load(this.#states, slot) === FREE) continue;
      const leasedAt = this.#leasedAtMs[slot] as number;
      const period = this.#leaseMs[slot] as number;
      if (nowMs - leasedAt < Math.min(period / THREAD_RENEWALS_PER_LEASE, atLatestMs) || nowMs - leasedAt >= period) continue;
      const reply = this.#reply(slot);
      // Settled while it was read: the subject may be torn, and there is nothing to keep.
      if (Atomics.load(this.#states, slot) === FREE || this.#leasedAtMs[slot] !== leasedAt) continue;
      this.#leasedAtMs[slot] = nowMs;
      renew(reply);
    }
  }
}

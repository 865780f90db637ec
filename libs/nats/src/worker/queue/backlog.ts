/** A count of the server is asked for again after this, also where nothing has arrived. */
const RECOUNT_MS = 30_000;

/** Commands of a lane that wait on the server, by its last count: that of a delivery, or one that was asked for. */
export class Backlog {
  #pending = 0;
  #askedAtMs = 0;

  get pending(): number {
    return this.#pending;
  }

  /** A delivery said how many wait behind it. */
  delivered(pending: number): void {
    this.#pending = pending;
  }

  /** The server was asked. */
  counted(pending: number, nowMs: number): void {
    this.#pending = pending;
    this.#askedAtMs = nowMs;
  }

  /** Counts of deliveries grow old where a stream is purged or nothing is delivered. */
  isKnownEmpty(nowMs: number): boolean {
    return this.#pending === 0 && nowMs - this.#askedAtMs < RECOUNT_MS;
  }
}

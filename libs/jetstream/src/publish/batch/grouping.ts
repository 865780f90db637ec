/** Messages in flight from which on a publisher is under load. */
const LOAD = 32;
/** Acknowledgements a second below which single messages are slow. */
const SLOW_PER_SECOND = 10_000;
/** Ticks under load in which single messages are judged, and groups after them. */
const JUDGED_TICKS = 3;
const TRIED_TICKS = 6;
/**
 * Share of time in which this process is busy, from which on the process itself is slow. One that has just started and compiles is busy
 * for 0.9 of the time, one that waits for a disk for 0.4. Groups would seem to gain by what the process gets faster meanwhile.
 */
const BUSY = 0.6;
/** Factor by which groups must be faster to be kept. */
const GAIN = 1.3;
/** Ticks after which single messages are judged again. */
const REJUDGE_TICKS = 200;
/** Messages in flight meanwhile: enough to see a fast server, few enough for a slow one to finish them at once. */
const PROBE = 64;

type GroupingState = 'never' | 'always' | 'single' | 'trying' | 'kept' | 'resting';

/**
 * When concurrent messages are gathered into atomic batches. With `sync_interval: always` the server writes the disk
 * once for a batch instead of once for a message; without it, single messages are faster. The server does not tell
 * which it is: where single messages are slow under load, groups are tried, and kept if they are faster.
 */
export class Grouping {
  readonly #tickMs: number;
  #state: GroupingState;
  #probing = false;
  #ticks = 0;
  #acknowledged = 0;
  #busy = 0;
  #singlesPerTick = 0;
  #seen = false;

  constructor(mode: boolean | 'auto', tickMs: number) {
    this.#tickMs = tickMs;
    this.#state = mode === 'auto' ? 'single' : mode ? 'always' : 'never';
  }

  get on(): boolean {
    return this.#state === 'always' || this.#state === 'trying' || this.#state === 'kept';
  }

  /** Bound of messages in flight. */
  get limit(): number {
    return this.#probing ? PROBE : Infinity;
  }

  /** A group was acknowledged: what was written one by one before it is done with. */
  acknowledged(): void {
    this.#seen = true;
  }

  /**
   * @param acknowledged messages of the last tick
   * @param busy utilization of the event loop in it, 0 to 1
   */
  tick(acknowledged: number, inFlight: number, busy: number): void {
    if (this.#state === 'always' || this.#state === 'never') return;
    const load = inFlight >= LOAD;
    switch (this.#state) {
      case 'single':
        if (!load || (acknowledged * 1000) / this.#tickMs >= SLOW_PER_SECOND) this.#enter('single');
        else this.#judge(acknowledged, busy);
        break;
      case 'trying':
        if (!load) this.#enter('single');
        else if (this.#seen && this.#count(acknowledged) === TRIED_TICKS) {
          this.#enter(this.#acknowledged >= GAIN * TRIED_TICKS * this.#singlesPerTick ? 'kept' : 'resting');
        }
        break;
      default:
        if (++this.#ticks < REJUDGE_TICKS) return;
        this.#enter('single');
        this.#probing = true;
    }
  }

  /** The server takes no batches. */
  giveUp(): void {
    this.#enter('never');
  }

  #judge(acknowledged: number, busy: number): void {
    this.#busy += busy;
    if (this.#count(acknowledged) < JUDGED_TICKS) return;
    if (this.#busy / JUDGED_TICKS >= BUSY) this.#enter('single');
    else this.#try();
  }

  #try(): void {
    this.#singlesPerTick = this.#acknowledged / JUDGED_TICKS;
    this.#seen = false;
    this.#enter('trying');
  }

  #count(acknowledged: number): number {
    this.#acknowledged += acknowledged;
    return ++this.#ticks;
  }

  #enter(state: GroupingState): void {
    this.#state = state;
    this.#probing = false;
    this.#ticks = this.#acknowledged = this.#busy = 0;
  }
}

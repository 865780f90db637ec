import { HEADER, LoopstackError, MAX_FAN_OUT } from '@loopstack/shared/contract';

/** Messages in an atomic batch. */
export const MAX_BATCH = MAX_FAN_OUT;
/** Bytes that are gathered for one batch. */
export const MAX_BATCH_BYTES = 1024 * 1024;

const LINE_END = 2;

/** The block of a message with what makes it the `n`-th of a batch. */
export function inBatch(block: Uint8Array | undefined, id: string, n: number, last: boolean): Uint8Array {
  const head = block === undefined ? 'NATS/1.0\r\n' : '';
  const lines = `${head}${HEADER.BATCH_ID}: ${id}\r\n${HEADER.BATCH_SEQUENCE}: ${n}\r\n${last ? `${HEADER.BATCH_COMMIT}: 1\r\n\r\n` : '\r\n'}`;
  if (block === undefined) return Buffer.from(lines, 'latin1');
  const kept = block.length - LINE_END;
  const joined = Buffer.allocUnsafe(kept + lines.length);
  joined.set(block.subarray(0, kept));
  joined.write(lines, kept, 'latin1');
  return joined;
}

/** `err_code`s that say that this server or stream takes no batches, or none with message ids. */
const NEVER: ReadonlySet<unknown> = new Set([10174, 10177, 10179]);

/** True if it is of no use to send another batch. */
export function takesNoBatches(error: unknown): boolean {
  return error instanceof LoopstackError && NEVER.has(error.details['errCode']);
}

/** Messages in flight from which on a publisher is under load. */
const LOAD = 32;
/** Acknowledgements a second below which single messages are slow. */
const SLOW_PER_SECOND = 10_000;
/** Ticks under load in which single messages are judged, and groups after them. */
const JUDGED_TICKS = 3;
const TRIED_TICKS = 6;
/**
 * Share of their time in which this process is busy, from which on it is slow itself, as one is that has just started and compiles:
 * 0.9 then, and 0.4 where it waits for a disk. Groups would seem to gain by what it gets faster meanwhile.
 */
const BUSY = 0.6;
/** What groups must gain to be kept. */
const GAIN = 1.3;
/** After this many ticks the judgment is made anew. */
const AGAIN_TICKS = 200;
/** Messages in flight while it is: enough to see a fast server, few enough for a slow one to be done with them at once. */
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
        if (++this.#ticks < AGAIN_TICKS) return;
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

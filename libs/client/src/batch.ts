import { HEADER, LoopstackError } from '@loopstack/shared/contract';

/** Messages in an atomic batch (NATS ADR-50, the server's default limit). */
export const MAX_BATCH = 1000;
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
/** Acknowledgements a second below which each message is thought to cost a disk write of its own. */
const SLOW_PER_SECOND = 10_000;
/** Ticks under load before single messages are judged. */
const JUDGED_TICKS = 3;
/** After this many ticks the judgement is made anew. */
const AGAIN_TICKS = 200;
/** Messages in flight while it is: enough to see a fast server, few enough for a slow one to be done with them at once. */
const PROBE = 64;

/**
 * When concurrent messages are gathered into atomic batches. With `sync_interval: always` the server writes the disk
 * once for a batch instead of once for a message; without it, single messages are faster. The server does not tell
 * which it is, so it is told from the rate under load.
 */
export class Grouping {
  readonly #tickMs: number;
  #mode: boolean | 'auto';
  #on: boolean;
  #probing = false;
  #slowTicks = 0;
  #groupedTicks = 0;

  constructor(mode: boolean | 'auto', tickMs: number) {
    this.#mode = mode;
    this.#tickMs = tickMs;
    this.#on = mode === true;
  }

  get on(): boolean {
    return this.#on;
  }

  /** Bound of messages in flight. */
  get limit(): number {
    return this.#probing ? PROBE : Infinity;
  }

  /** @param acknowledged messages of the last tick */
  tick(acknowledged: number, inFlight: number): void {
    if (this.#mode !== 'auto') return;
    if (this.#on) {
      if (++this.#groupedTicks < AGAIN_TICKS) return;
      this.#on = false;
      this.#probing = true;
      this.#slowTicks = 0;
    } else if (inFlight >= LOAD && (acknowledged * 1000) / this.#tickMs < SLOW_PER_SECOND) {
      if (++this.#slowTicks < JUDGED_TICKS) return;
      this.#on = true;
      this.#probing = false;
      this.#groupedTicks = 0;
    } else {
      this.#slowTicks = 0;
      this.#probing = false;
    }
  }

  /** The server takes no batches. */
  giveUp(): void {
    this.#mode = false;
    this.#on = this.#probing = false;
  }
}

import { HEADER, LoopstackError, MAX_FAN_OUT } from '@loopstack/shared/contract';
import { ERR_CODE } from '../../api/api-error.js';

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

/** This server or stream takes no batches, or none with message ids. */
const NEVER: ReadonlySet<unknown> = new Set([ERR_CODE.BATCHES_DISABLED, ERR_CODE.BATCH_HEADER_UNSUPPORTED, ERR_CODE.BATCH_ID_INVALID]);

/** True if it is of no use to send another batch. */
export function takesNoBatches(error: unknown): boolean {
  return error instanceof LoopstackError && NEVER.has(error.details['errCode']);
}

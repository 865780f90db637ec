import { JetStreamApiError, NO_PLACE } from '@loopstack/jetstream';
import { LoopstackError } from '@loopstack/shared/contract';
import { DUPLICATE_IN_BATCH } from './command-batches.js';

/** How long a server may be away or a stream full before the replay is interrupted. */
const PATIENCE_MS = 300_000;
/**
 * How long an incomplete batch is written again: a connection lost messages of it, one of them was not allowed, or others
 * had left open as many batches as the server keeps (for 10 s).
 */
const INCOMPLETE_MS = 20_000;
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 5000;

/** Whether the next try may succeed, so long after the first one. Pure. */
export function isTransient(error: unknown, afterMs: number): boolean {
  if (afterMs > PATIENCE_MS) return false;
  if (error instanceof JetStreamApiError) return error.errCode === 0;
  if (!(error instanceof LoopstackError)) return false;
  // With a place in the server's table of batches, or with other message ids.
  const errCode = error.details['errCode'];
  const isIncomplete = NO_PLACE.has(errCode) || errCode === DUPLICATE_IN_BATCH;
  return error.retryable || (isIncomplete && afterMs < INCOMPLETE_MS);
}

/** Milliseconds to wait after a number of failed tries. Pure. */
export const retryDelayMs = (failures: number): number => Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (failures - 1));

import { storedRunEvent, type RunEvent } from '@loopstack/shared/contract';
import type { JetStreamApi } from '../api/jetstream-api.js';

/** Where the history of a run ends. */
export interface HistoryEnd {
  /** The last event; undefined: on the subject are only messages that are none. */
  readonly event: RunEvent | undefined;
  /** Sequence of the last message of the subject, whatever it is: the next event has to expect it. */
  readonly sequence: number;
}

/** An event as it is stored. */
interface StoredEvent {
  readonly event: RunEvent;
  readonly sequence: number;
  readonly bytes: Uint8Array;
}

/**
 * The last event of a subject before a message that is none. Asks the leader, message by message: a replica that lags could miss an outcome,
 * and headers that no client writes keep other answers from arriving. A history with strangers in it is rare, and short.
 */
export async function eventBefore(api: JetStreamApi, stream: string, subject: string, end: number): Promise<StoredEvent | undefined> {
  let found: StoredEvent | undefined;
  for (let next = 1; next < end;) {
    const stored = await api.leaderNext(stream, subject, next);
    if (!stored || stored.sequence >= end) break;
    const event = storedRunEvent(stored);
    if (event) found = { event, sequence: stored.sequence, bytes: stored.data };
    next = stored.sequence + 1;
  }
  return found;
}

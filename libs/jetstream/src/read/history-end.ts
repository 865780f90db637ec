import { storedRunEvent, type RunEvent } from '@loopstack/shared/contract';
import type { Position, StoredMessage } from './stored-message.js';

/** Where the history of a run ends. */
export interface HistoryEnd {
  /** The last event; undefined: the subject has only messages that are no events. */
  readonly event: RunEvent | undefined;
  /** Sequence of the last message of the subject, whatever it is: the next event has to expect it. */
  readonly sequence: number;
}

/** With the event as it is stored. */
export interface StoredEnd extends HistoryEnd {
  /** Sequence of the last event; 0: there is none. */
  readonly eventSequence: number;
  readonly bytes: Uint8Array | undefined;
}

/** An event as it is stored. */
interface StoredEvent {
  readonly event: RunEvent;
  readonly sequence: number;
  readonly bytes: Uint8Array;
}

interface LeaderReader {
  getFromLeader(stream: string, position: Position): Promise<StoredMessage | undefined>;
}

/**
 * The end of a history whose subject has `last` as its last message. Anyone who may publish on the subject can store messages that are no
 * events. They say nothing of the run, and are passed over.
 */
export async function historyEndAt(reader: LeaderReader, stream: string, last: StoredMessage): Promise<StoredEnd> {
  const { subject, sequence, data } = last;
  const event = storedRunEvent(last);
  if (event) return { event, sequence, eventSequence: sequence, bytes: data };
  const before = await eventBefore(reader, stream, subject, sequence);
  return { event: before?.event, sequence, eventSequence: before?.sequence ?? 0, bytes: before?.bytes };
}

/**
 * The last event of a subject before a message that is none. Asks the leader, message by message: a replica that lags could miss an outcome,
 * and headers that no client writes keep other answers from arriving. A history with strangers in it is rare, and short.
 */
export async function eventBefore(reader: LeaderReader, stream: string, subject: string, end: number): Promise<StoredEvent | undefined> {
  let found: StoredEvent | undefined;
  for (let next = 1; next < end;) {
    const stored = await reader.getFromLeader(stream, { next: subject, sequence: next });
    if (!stored || stored.sequence >= end) break;
    const event = storedRunEvent(stored);
    if (event) found = { event, sequence: stored.sequence, bytes: stored.data };
    next = stored.sequence + 1;
  }
  return found;
}

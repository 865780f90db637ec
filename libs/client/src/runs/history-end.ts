import { LoopstackError, storedRunEvent, type RunEvent } from '@loopstack/shared/contract';
import type { Position, StoredMessage, StreamReader } from '@loopstack/jetstream';

/** Where the history of a run ends. */
export interface HistoryEnd {
  readonly subject: string;
  /** The last event; undefined: on the subject are only messages that are none. */
  readonly event: RunEvent | undefined;
  /** Sequence of the last message of the subject, whatever it is: the next event has to expect it. */
  readonly sequence: number;
}

/**
 * The end of a run's history, or undefined where nothing is on its subject. Whoever may publish there can store what is no event: that says
 * nothing of the run, and is passed over.
 */
export async function historyEnd(reader: StreamReader, stream: string, subject: string, leader = false): Promise<HistoryEnd | undefined> {
  const last = await readAnyway(reader, stream, { last: subject }, leader);
  if (!last) return undefined;
  const event = storedRunEvent(last) ?? (await eventBefore(reader, stream, last));
  return { subject: last.subject, event, sequence: last.sequence };
}

/**
 * Also a message with headers that no client writes: they keep an answer of a direct get from arriving, and the leader sends them in another
 * form.
 */
export async function readAnyway(
  reader: StreamReader,
  stream: string,
  position: Position,
  leader = false,
): Promise<StoredMessage | undefined> {
  try {
    return await reader.read(stream, position, leader);
  } catch (error) {
    if (leader || !(error instanceof LoopstackError) || error.code !== 'STREAM_UNAVAILABLE') throw error;
    return reader.read(stream, position, true);
  }
}

/** The first event of a run that is still there. */
export async function firstEvent(reader: StreamReader, stream: string, subject: string): Promise<RunEvent | undefined> {
  for (let next = 1; ;) {
    const message = await readAnyway(reader, stream, { next: subject, sequence: next });
    const event = message && storedRunEvent(message);
    if (!message || event) return event;
    next = message.sequence + 1;
  }
}

/** Asks the leader, message by message: a replica that lags could miss an outcome. A history with strangers in it is rare, and short. */
async function eventBefore(reader: StreamReader, stream: string, { subject, sequence: end }: StoredMessage): Promise<RunEvent | undefined> {
  let found: RunEvent | undefined;
  for (let next = 1; next < end;) {
    const message = await reader.read(stream, { next: subject, sequence: next }, true);
    if (!message || message.sequence >= end) break;
    found = storedRunEvent(message) ?? found;
    next = message.sequence + 1;
  }
  return found;
}

import { LoopstackError, storedRunEvent, type RunEvent } from '@loopstack/shared/contract';
import { historyEndAt, type HistoryEnd, type Position, type StoredMessage, type StreamReader } from '@loopstack/jetstream';

/** The end of a run's history, and its subject. */
export type FoundEnd = HistoryEnd & { readonly subject: string };

/** The end of a run's history, or undefined where its subject has no message. */
export async function historyEnd(reader: StreamReader, stream: string, subject: string, leader = false): Promise<FoundEnd | undefined> {
  const last = await readAnyway(reader, stream, { last: subject }, leader);
  if (!last) return undefined;
  const { event, sequence } = await historyEndAt(reader, stream, last);
  return { subject: last.subject, event, sequence };
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
    return await (leader ? reader.getFromLeader(stream, position) : reader.get(stream, position));
  } catch (error) {
    if (leader || !(error instanceof LoopstackError) || error.code !== 'STREAM_UNAVAILABLE') throw error;
    return reader.getFromLeader(stream, position);
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

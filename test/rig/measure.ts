import { decodeRunEvent, isOutcome, type RunEvent } from '@loopstack/shared';
import type { ConsumerMessages, NatsConnection } from 'nats';
import { until } from '../until.js';

/** A message of a stream, read back. */
export interface Stored {
  readonly subject: string;
  readonly sequence: number;
  readonly data: Uint8Array;
  header(name: string): string | undefined;
}

/** All messages of a stream, in order. */
export async function readStream(nc: NatsConnection, stream: string, filter = '>'): Promise<readonly Stored[]> {
  const { state } = await (await nc.jetstreamManager()).streams.info(stream);
  const stored: Stored[] = [];
  if (state.messages === 0) return stored;
  const consumer = await nc.jetstream().consumers.get(stream, { filterSubjects: filter });
  if ((await consumer.info(true)).num_pending === 0) return stored;
  const messages: ConsumerMessages = await consumer.consume();
  for await (const message of messages) {
    const { headers } = message;
    stored.push({
      subject: message.subject,
      sequence: message.seq,
      data: message.data,
      header: (name) => (headers?.has(name) ? headers.get(name) : undefined),
    });
    if (message.info.pending === 0) break;
  }
  await messages.close();
  return stored;
}

/**
 * Waits until the runs stream has forgotten the message ids that it knows now. Only where the deduplication window is short.
 * It stores probes, on a subject that no worker serves.
 */
export async function messageIdsForgotten(nc: NatsConnection): Promise<void> {
  const probe = async (): Promise<boolean> => (await nc.jetstream().publish('loopstack.run.Probe.Probe', '', { msgID: 'probe' })).duplicate;
  await probe();
  await until('message ids are forgotten', async () => !(await probe()));
}

/** Events of each run, in order. */
export async function readEvents(nc: NatsConnection, stream: string): Promise<ReadonlyMap<string, readonly RunEvent[]>> {
  const events = new Map<string, RunEvent[]>();
  for (const { subject, data } of await readStream(nc, stream)) {
    const [, kind, , , runId = ''] = subject.split('.');
    if (kind !== 'event') continue;
    const list = events.get(runId) ?? [];
    const event = decodeRunEvent(data);
    if (event) list.push(event);
    events.set(runId, list);
  }
  return events;
}

/** What became of the runs whose publish was acknowledged. */
export interface Balance {
  readonly acked: number;
  /** With an effect in the journal. */
  readonly executed: number;
  readonly dead: number;
  /** In the stream and not settled. */
  readonly queued: number;
  /** Z: acknowledged, and neither executed nor dead nor queued. */
  readonly lost: readonly string[];
  /** Effects beyond the first of each run. */
  readonly duplicates: number;
  /** E1: runs with more than one recorded outcome. */
  readonly twiceEnded: readonly string[];
}

/** Z and E1 from what was observed. `queued` is a number only: a run that is neither executed nor dead counts as lost beyond it. */
export function balance(
  acked: Iterable<string>,
  effects: ReadonlyMap<string, number>,
  dead: ReadonlySet<string>,
  events: ReadonlyMap<string, readonly RunEvent[]>,
  queued: number,
): Balance {
  const ids = [...new Set(acked)];
  const missing = ids.filter((id) => !effects.has(id) && !dead.has(id) && !isEnded(events.get(id)));
  return {
    acked: ids.length,
    executed: ids.filter((id) => effects.has(id)).length,
    dead: dead.size,
    queued,
    lost: missing.slice(queued),
    duplicates: [...effects.values()].reduce((sum, count) => sum + count - 1, 0),
    twiceEnded: [...events].filter(([, list]) => list.filter((event) => isOutcome(event.type)).length > 1).map(([id]) => id),
  };
}

/** Canceled and expired runs have ended without an effect and without a dead letter. */
const isEnded = (events: readonly RunEvent[] = []): boolean => events.some(({ type }) => type === 'canceled' || type === 'expired');

/** Prints the one line of a case. */
export function held(name: string, ...facts: readonly (Readonly<Record<string, number | string>> | Balance)[]): void {
  const shown: Record<string, number | string> = {};
  for (const fact of facts) Object.assign(shown, 'twiceEnded' in fact ? shownBalance(fact as Balance) : fact);
  const text = Object.entries(shown).map(([key, value]) => `${key} ${value}`);
  process.stdout.write(`case ${name} held: ${text.join(', ')}\n`);
}

function shownBalance({ acked, executed, dead, queued, duplicates }: Balance): Record<string, number> {
  return { acked, executed, dead, ...(queued > 0 ? { queued } : {}), duplicates };
}

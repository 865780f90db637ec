import { wireNames, type WireNames } from '@loopstack/shared/contract';
import type { NatsConnection } from 'nats';

/** Fields that the client library's types do not know yet pass through to the server. */
type StreamFields = Record<string, unknown>;

/** An answer of the JetStream API. @throws Error if that is an error */
export async function jsApi<T>(nc: NatsConnection, subject: string, body: object = {}, timeout = 10_000): Promise<T> {
  const answer = (await nc.request(`$JS.API.${subject}`, JSON.stringify(body), { timeout })).json<
    T & { error?: { description: string } }
  >();
  if (answer.error) throw new Error(`${subject}: ${answer.error.description}`);
  return answer;
}

/** The four streams as a worker provisions them. `runs` overrides fields of the runs stream. */
export async function provisionStreams(
  nc: NatsConnection,
  overrides: { prefix?: string; replicas?: number; runs?: StreamFields } = {},
): Promise<WireNames> {
  const names = wireNames(overrides.prefix);
  const { streams, captures, dueTransforms } = names;
  const common = { storage: 'file', retention: 'limits', num_replicas: overrides.replicas ?? 1 };
  await jsApi(nc, `STREAM.CREATE.${streams.events}`, {
    ...common,
    name: streams.events,
    subjects: captures.events,
    allow_direct: true,
    allow_atomic: true,
  });
  await jsApi(nc, `STREAM.CREATE.${streams.schedules}`, {
    ...common,
    name: streams.schedules,
    subjects: captures.schedules,
    allow_direct: true,
    allow_msg_schedules: true,
    allow_msg_ttl: true,
    allow_rollup_hdrs: true,
  });
  await jsApi(nc, `STREAM.CREATE.${streams.runs}`, {
    ...common,
    name: streams.runs,
    subjects: captures.runs,
    discard: 'new',
    allow_direct: true,
    allow_atomic: true,
    allow_batched: true,
    duplicate_window: 120_000_000_000,
    sources: [
      {
        name: streams.schedules,
        subject_transforms: dueTransforms,
      },
    ],
    ...overrides.runs,
  });
  return names;
}

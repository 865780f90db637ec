import { wireNames, type RunAddress } from '@loopstack/shared';
import type { Msg, NatsConnection } from 'nats';
import { CanceledRuns } from './canceled-runs.js';
import type { CommandMessage } from './command-message.js';
import type { JetStreamApi } from '@loopstack/jetstream';

const names = wireNames();
const JOB: RunAddress = { workspace: 'W', workflow: 'F' };

type Hear = (error: null, msg: Msg) => void;

/** A worker that serves one workflow, with the notices that a test gives it. */
async function listening(stored: readonly string[] = []): Promise<{
  readonly canceled: CanceledRuns;
  readonly hear: (address: RunAddress, runId: string) => void;
  readonly told: string[];
  readonly answer: (lastSequence: number) => Promise<void>;
}> {
  const told: string[] = [];
  const asked: ((answer: unknown) => void)[] = [];
  let hear: Hear = () => {
    throw new Error('nobody listens');
  };
  const nc = {
    subscribe: (_: string, { callback }: { callback: Hear }) => {
      hear = callback;
      return { unsubscribe: () => undefined };
    },
  } as unknown as NatsConnection;
  const api = {
    streamInfo: (stream: string) =>
      stream === names.streams.events
        ? Promise.resolve({ state: { subjects: Object.fromEntries(stored.map((id) => [names.cancel(JOB, id), 1])) }, total: stored.length })
        : new Promise((resolve) => asked.push(resolve)),
  } as unknown as JetStreamApi;
  const canceled = new CanceledRuns(api, names, (_, runIds) => told.push(...runIds));
  await canceled.start(nc, [JOB], () => true);
  return {
    canceled,
    told,
    hear: (address, runId) => hear(null, { subject: names.cancel(address, runId) } as Msg),
    answer: async (lastSequence) => {
      for (const resolve of asked.splice(0)) resolve({ state: { last_seq: lastSequence } });
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

const command = (sequence: number, scheduler?: string): Pick<CommandMessage, 'sequence' | 'headers'> =>
  ({ sequence, headers: { get: (name: string) => (name === 'Nats-Scheduler' ? scheduler : undefined) } }) as unknown as CommandMessage;

describe('canceled runs that a process remembers', () => {
  it('are those that were told of, live or before', async () => {
    const { canceled, hear, told } = await listening(['a']);
    hear(JOB, 'b');
    const ids = canceled.of(JOB);
    expect(['a', 'b', 'c'].map((id) => ids.isPerhaps(id, command(1)))).toEqual([true, true, false]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(told.sort()).toEqual(['a', 'b']);
  });

  it('are no more than ten thousand, and none of workflows that it does not serve', async () => {
    const { canceled, hear } = await listening();
    for (let i = 0; i < 100_000; i++) hear({ workspace: 'Made', workflow: `Up${i}` }, 'x');
    expect(canceled.size).toBe(0);
    for (let i = 0; i < 100_000; i++) hear(JOB, `r${i}`);
    expect(canceled.size).toBeLessThanOrEqual(10_000);
  });

  it('may be any that was stored by the time when some were forgotten, and any that was delayed', async () => {
    const { canceled, hear, answer } = await listening(Array.from({ length: 25_000 }, (_, i) => `r${i}`));
    const ids = canceled.of(JOB);
    // Until the server has told where the queue ends: all.
    expect(ids.isPerhaps('other', command(1e12))).toBe(true);
    for (let i = 25_000; i < 50_000; i++) hear(JOB, `r${i}`);
    await answer(500);
    // What was forgotten after the question may be of later commands: it is asked again.
    expect(ids.isPerhaps('other', command(1e12))).toBe(true);
    await answer(1000);
    expect(ids.isPerhaps('other', command(1000))).toBe(true);
    expect(ids.isPerhaps('other', command(1001))).toBe(false);
    expect(ids.isPerhaps('other', command(1001, 'loopstack.schedule.W.F.other'))).toBe(true);
    expect(ids.isPerhaps('r49999', command(1001))).toBe(true);
  });

  it('are looked for once among what executes, however many notices come at once', async () => {
    let looks = 0;
    const { canceled, hear, told } = await listening();
    for (let i = 0; i < 5000; i++) hear(JOB, `r${i % 50}`);
    const { push } = told;
    told.push = (...ids) => {
      looks++;
      return push.apply(told, ids);
    };
    await new Promise((resolve) => setImmediate(resolve));
    expect([looks, told.length]).toEqual([1, 50]);
    canceled.stop();
  });
});

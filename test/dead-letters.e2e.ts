import { Workflow, Workspace, type RunContext } from '@loopstack/core';
import { LoopstackClient } from '@loopstack/client';
import { DeadLetters, Replays } from '@loopstack/nats';
import type { DeadLetter } from '@loopstack/shared';
import type { INestMicroservice } from '@nestjs/common';
import { type NatsConnection } from 'nats';
import { harness } from './rig/harness.js';
import { until } from './until.js';

/** Run ids in the order of their executions. */
const executed: string[] = [];
let fails = true;

@Workflow({ retry: { attempts: 1 } })
class Job {
  run(_: unknown, { runId }: RunContext): string {
    executed.push(runId);
    if (fails) throw new Error('not yet');
    return 'done';
  }
}

@Workspace({ workflows: [Job] })
class Ops {}

describe('dead letters', () => {
  const rig = harness();
  let app: INestMicroservice;
  let nc: NatsConnection;
  let client: LoopstackClient;
  let letters: DeadLetters;

  beforeAll(async () => {
    await rig.startServer();
    app = await rig.startApp([Job, Ops]);
    nc = await rig.connect();
    client = await rig.connectClient();
    letters = app.get(DeadLetters);
  });
  beforeEach(async () => {
    await letters.discard({});
    executed.length = 0;
    fails = true;
  });

  /** Starts runs that fail; resolves when each has its letter. */
  const failed = async (count: number): Promise<readonly string[]> => {
    const handles = await Promise.all(Array.from({ length: count }, () => client.run('Job', 'Ops', {}, 'u1')));
    await until('all have letters', async () => (await letters.list({ limit: 1000 })).length === count);
    return handles.map(({ id }) => id);
  };

  /** Sequence of a run's command. */
  const commandOf = async (id: string): Promise<number> => (await client.get(id)).sequence as number;

  it('that match a filter are redriven once each, although every run fails again and has a new letter', async () => {
    const ids = await failed(300);
    const { done, failed: refused } = await letters.redrive({ workflow: 'Job' });
    expect(refused).toEqual([]);
    expect(new Set(done).size).toBe(300);
    await until('all have failed again', async () => (await letters.list({ limit: 1000 })).length === 300);
    expect(executed.toSorted()).toEqual([...ids, ...ids].toSorted());
    expect((await letters.list({ limit: 1000 })).every(({ redriven }) => redriven === 1)).toBe(true);
  });
  it('of a run that has succeeded since is not redriven, says so, and can be discarded', async () => {
    const [id] = (await failed(1)) as [string];
    fails = false;
    const replays = new Replays(nc);
    await replays.start({ workflow: 'Job', workspace: 'Ops', as: 'same-run', outcome: 'failed', fromSequence: await commandOf(id) });
    await until('it has succeeded', async () => (await client.get(id)).status === 'succeeded');
    const [{ deadSequence }] = (await letters.list()) as [DeadLetter];
    expect(await letters.redrive({})).toEqual({
      done: [],
      failed: [{ deadSequence, code: 'RUN_NOT_FAILED', reason: `Run ${id} is no longer failed: it is succeeded` }],
    });
    expect((await client.get(id)).status).toBe('succeeded');
    expect(executed).toEqual([id, id]);
    expect(await letters.discard({ runId: id })).toEqual({ done: [deadSequence], failed: [] });
    await replays.close();
  });

  it('of a run whose events have aged out is redriven', async () => {
    const [id] = (await failed(1)) as [string];
    fails = false;
    await (await nc.jetstreamManager()).streams.purge('LOOPSTACK_EVENTS');
    expect((await letters.redrive({})).done).toHaveLength(1);
    await until('it has succeeded', async () => (await client.get(id)).status === 'succeeded');
    expect(executed).toEqual([id, id]);
  });
  it('of a command that is as large as the server accepts stays, and the run stays failed: with headers it would be larger', async () => {
    const limit = nc.info?.max_payload as number;
    const [head, end] = ['{"userId":"u1","payload":{"text":"', '"}}'];
    const { seq } = await nc.jetstream().publish('loopstack.run.Ops.Job', head + 'x'.repeat(limit - head.length - end.length) + end);
    const letter = await until('it has a letter', async () => (await letters.list())[0]);
    expect(letter.sequence).toBe(seq);
    const { done, failed: refused } = await letters.redrive({});
    expect(done).toEqual([]);
    expect(refused).toEqual([
      { deadSequence: letter.deadSequence, code: 'PAYLOAD_TOO_LARGE', reason: expect.stringContaining(`accepts ${limit}`) },
    ]);
    expect((await client.get(letter.runId)).status).toBe('failed');
    expect(await letters.list()).toHaveLength(1);
    // Without its command it is of no use, and can go.
    await (await nc.jetstreamManager()).streams.deleteMessage('LOOPSTACK_RUNS', seq);
    expect((await letters.redrive({})).failed).toMatchObject([{ code: 'COMMAND_LOST' }]);
    expect((await letters.discard({})).done).toEqual([letter.deadSequence]);
  });

  it('of a command that the server refuses stays, and the run stays failed, until the server takes it', async () => {
    const [id] = (await failed(1)) as [string];
    fails = false;
    const jsm = await nc.jetstreamManager();
    const { config } = await jsm.streams.info('LOOPSTACK_RUNS');
    await jsm.streams.update('LOOPSTACK_RUNS', { max_msg_size: 10 });
    expect((await letters.redrive({})).failed).toMatchObject([{ code: 'PAYLOAD_TOO_LARGE' }]);
    expect((await client.get(id)).status).toBe('failed');
    await jsm.streams.update('LOOPSTACK_RUNS', { max_msg_size: config.max_msg_size });
    expect((await letters.redrive({})).done).toHaveLength(1);
    await until('it has succeeded', async () => (await client.get(id)).status === 'succeeded');
  });
});

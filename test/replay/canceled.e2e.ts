import { LoopstackClient } from '@loopstack/client';
import { Replays } from '@loopstack/nats';
import { Workflow, Workspace, type RunContext } from '@loopstack/core';
import { type NatsConnection } from 'nats';
import { harness } from '../rig/harness.js';
import { until } from '../until.js';
import { unsettled } from '../unsettled.js';

const executed: string[] = [];

@Workflow()
class Job {
  run(_: unknown, { runId }: RunContext): string {
    executed.push(runId);
    return 'done';
  }
}

const aborted: string[] = [];

/** Runs until its signal says that it must end. */
@Workflow()
class Endless {
  run(_: unknown, { runId, signal }: RunContext): Promise<never> {
    executed.push(runId);
    return new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        aborted.push(runId);
        reject(signal.reason as Error);
      });
    });
  }
}

@Workspace({ workflows: [Job, Endless] })
class Ops {}

describe('a replay as the same run', () => {
  const rig = harness();
  let nc: NatsConnection;
  let client: LoopstackClient;

  beforeAll(async () => {
    await rig.startServer();
    nc = await rig.connect();
    client = await rig.connectClient();
  });

  it('executes a run that was canceled', async () => {
    // The first worker makes the streams and the consumer.
    await rig.stop(await rig.startApp([Job, Endless, Ops]));
    const { id } = await client.run('Job', 'Ops', {}, 'u1');
    await client.cancel(id);
    const before = await rig.startApp([Job, Endless, Ops]);
    await until('the canceled command is done with', async () => {
      return (await unsettled(await nc.jetstreamManager(), 'LOOPSTACK_RUNS', 'Ops~Job')) === 0;
    });
    await rig.stop(before);
    expect(executed).toEqual([]);
    const replays = new Replays(nc);
    const { counts } = await replays.start({ workspace: 'Ops', workflow: 'Job', as: 'same-run', outcome: 'canceled' });
    expect(counts).toMatchObject({ published: 1, busy: 0 });
    const after = await rig.startApp([Job, Endless, Ops]);
    await until('it has succeeded', async () => (await client.get(id)).status === 'succeeded');
    expect(executed).toEqual([id]);
    await replays.close();
    await rig.stop(after);
  });

  it('executes it also on the worker that has heard of the cancel, which a second cancel ends again', async () => {
    await rig.startApp([Job, Endless, Ops]);
    const replays = new Replays(nc);
    const { id } = await client.run('Endless', 'Ops', {}, 'u1');
    const times = (list: readonly string[]): number => list.filter((one) => one === id).length;
    for (const time of [1, 2]) {
      await until('it runs', () => times(executed) === time);
      await client.cancel(id);
      await until('its signal is aborted', () => times(aborted) === time);
      if (time === 1) await replays.start({ workspace: 'Ops', workflow: 'Endless', as: 'same-run', outcome: 'canceled' });
    }
    await replays.close();
  });
});

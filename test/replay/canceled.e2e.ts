import { LoopstackClient } from '@loopstack/client';
import { Workflow, Workspace, type RunContext } from '@loopstack/core';
import { Replays } from '@loopstack/nats';
import { startNatsServer, type NatsServer } from '@loopstack/nats-server';
import { connect, type NatsConnection } from 'nats';
import { startApp } from '../rig/app.js';
import { until } from '../until.js';

const executed: string[] = [];

@Workflow()
class Job {
  run(_: unknown, { runId }: RunContext): string {
    executed.push(runId);
    return 'done';
  }
}

@Workspace({ workflows: [Job] })
class Ops {}

describe('a replay as the same run', () => {
  let server: NatsServer;
  let nc: NatsConnection;
  let client: LoopstackClient;

  beforeAll(async () => {
    server = await startNatsServer();
    nc = await connect({ servers: server.url });
    client = await LoopstackClient.connect({ servers: server.url });
  });
  afterAll(async () => {
    await client?.close();
    await nc?.close();
    await server?.stop();
  });

  it('executes a run that was canceled', async () => {
    // The first worker makes the streams and the consumer.
    await (await startApp([Job, Ops], { servers: server.url })).close();
    const { id } = await client.run('Job', 'Ops', {}, 'u1');
    await client.cancel(id);
    const before = await startApp([Job, Ops], { servers: server.url });
    await until('the canceled command is done with', async () => {
      const info = await (await nc.jetstreamManager()).consumers.info('LOOPSTACK_RUNS', 'Ops~Job');
      return info.num_pending + info.num_ack_pending === 0;
    });
    await before.close();
    expect(executed).toEqual([]);
    const replays = new Replays(nc);
    const { counts } = await replays.start({ workspace: 'Ops', workflow: 'Job', as: 'same-run', outcome: 'canceled' });
    expect(counts).toMatchObject({ published: 1, busy: 0 });
    const after = await startApp([Job, Ops], { servers: server.url });
    await until('it has succeeded', async () => (await client.get(id)).status === 'succeeded');
    expect(executed).toEqual([id]);
    await replays.close();
    await after.close();
  });
});

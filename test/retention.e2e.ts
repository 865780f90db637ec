import { RunService, Workflow, Workspace } from '@loopstack/core';
import { type NatsConnection } from 'nats';
import { startApp } from './rig/app.js';
import { harness } from './rig/harness.js';
import { until } from './until.js';

let open: () => void = () => undefined;
const gate = new Promise<void>((resolve) => (open = resolve));

@Workflow()
class Quick {
  run(): void {}
}

@Workflow({ concurrency: 1 })
class Held {
  async run(): Promise<void> {
    await gate;
  }
}

@Workspace({ workflows: [Quick, Held] })
class Space {}

describe('executed commands', () => {
  const rig = harness();
  let nc: NatsConnection;

  beforeAll(async () => {
    await rig.startServer();
    nc = await rig.connect();
  });

  it('are trimmed when they are older than they are kept, and never one that has not been executed', async () => {
    const app = await startApp([Quick, Held, Space], { servers: rig.url, runs: { keepExecuted: '1s' } });
    const runs = app.get(RunService);
    const held = await Promise.all(Array.from({ length: 5 }, () => runs.run(Held, Space, {} as never, 'u')));
    const quick = await Promise.all(Array.from({ length: 50 }, () => runs.run(Quick, Space, {} as never, 'u')));
    await Promise.all(quick.map((run) => run.result()));
    const left = async (): Promise<Record<string, number>> => {
      const { state } = await (await nc.jetstreamManager()).streams.info('LOOPSTACK_RUNS', { subjects_filter: '>' });
      return state.subjects ?? {};
    };
    // A command for a workflow that no worker serves is nobody's to trim.
    await nc.jetstream().publish('loopstack.run.Elsewhere.Other', '{"userId":"u"}');
    await until('the executed ones are gone', async () => !('loopstack.run.Space.Quick' in (await left())), 30_000);
    expect(await left()).toEqual({ 'loopstack.run.Space.Held': 5, 'loopstack.run.Elsewhere.Other': 1 });
    open();
    await Promise.all(held.map((run) => run.result()));
    await until('those, too', async () => !('loopstack.run.Space.Held' in (await left())), 30_000);
    await app.close();
  });
});

import { LoopstackClient } from '@loopstack/client';
import { Workflow, Workspace } from '@loopstack/core';
import { join } from 'node:path';
import { harness } from './rig/harness.js';
import { Journal } from './rig/journal.js';
import { expectNothingFor, until } from './until.js';
import { WorkerProcess } from './rig/worker-process.js';
import type { PlannedWorkflow, WorkerPlan } from './rig/worker/program.js';

describe('workers', () => {
  const rig = harness('each');
  let client: LoopstackClient;
  let folder: string;
  let workers: number;
  let journal: Journal;

  beforeEach(async () => {
    folder = await rig.makeFolder('workers');
    journal = new Journal(join(folder, 'journal'));
    workers = 0;
    await rig.startServer();
    client = await rig.connectClient();
  });

  const flow = (options: PlannedWorkflow['options'] = {}): PlannedWorkflow => ({ workspace: 'Orders', name: 'Process', options });
  const start = (workflow: PlannedWorkflow): Promise<WorkerProcess> => {
    const plan: WorkerPlan = { journal: journal.file, nats: { servers: rig.url }, workflows: [workflow] };
    return rig.track('users', WorkerProcess.start(plan, join(folder, `worker-${workers++}.log`)), (worker) => worker.end());
  };
  const publish = (count: number, payload: object): Promise<string[]> =>
    Promise.all(Array.from({ length: count }, async () => (await client.run('Process', 'Orders', payload, 'u1')).id));
  const allRan = (ids: readonly string[], deadlineMs = 60_000): Promise<unknown> =>
    until(
      `${ids.length} runs have had their effect`,
      () => {
        const effects = journal.effects();
        return ids.every((id) => effects.has(id));
      },
      deadlineMs,
    );

  it('share a workflow: each run is done once, and both have some', async () => {
    await Promise.all([start(flow({ concurrency: 4 })), start(flow({ concurrency: 4 }))]);
    const ids = await publish(400, { do: 'slow', ms: 5 });
    await allRan(ids);
    const effects = journal.entries.filter(({ kind }) => kind === 'effect');
    expect(effects).toHaveLength(400);
    expect(new Set(effects.map(({ pid }) => pid)).size).toBe(2);
  });

  it('may be restarted in the middle of a backlog of 2,000: nothing is lost, nothing is done twice', async () => {
    const first = await start(flow({ concurrency: 8 }));
    const ids = await publish(2000, { do: 'slow', ms: 2 });
    await until('a part is done', () => journal.effects().size > 300);
    const { code } = await first.kill('SIGTERM');
    expect(code).toBe(0);
    const doneByFirst = journal.effects().size;
    expect(doneByFirst).toBeLessThan(2000);
    await start(flow({ concurrency: 8 }));
    await allRan(ids);
    expect([...journal.effects().values()].every((count) => count === 1)).toBe(true);
  });

  it('boot at once on an empty server, and both work', async () => {
    await Promise.all(Array.from({ length: 3 }, () => start(flow({ concurrency: 1 }))));
    const ids = await publish(150, { do: 'slow', ms: 5 });
    await allRan(ids);
    expect(new Set(journal.entries.map(({ pid }) => pid)).size).toBe(3);
  });
});

@Workflow({ lease: '2s' })
class Note {
  run(): void {}
}

@Workspace({ workflows: [Note] })
class Desk {}

describe('a connection of the application', () => {
  const rig = harness('each');

  it('is made anew when it is dead', async () => {
    await rig.startServer();
    const proxy = await rig.startProxy();
    await rig.startApp([Desk, Note], { connection: await rig.connect({ servers: proxy.url }) });
    const own = await rig.connectClient();
    await (await own.run('Note', 'Desk', {}, 'u1')).result();
    // As by a firewall that has forgotten the connection.
    proxy.forget();
    await (await own.run('Note', 'Desk', {}, 'u1')).result({ timeout: '30s' });
  });

  it('stays at its server, also while JetStream does not answer there', async () => {
    const server = await rig.startServer();
    const servers = [server.url, server.url.replace('127.0.0.1', 'localhost')];
    const nc = await rig.connect({ servers, reconnect: false });
    await rig.startApp([Desk, Note], { connection: nc });
    server.signal('SIGSTOP');
    const at = nc.getServer();
    // Longer than it takes to leave a server.
    await expectNothingFor(9000, 'a connection elsewhere', () => nc.isClosed() || nc.getServer() !== at);
    server.signal('SIGCONT');
    const run = await rig.closeAtEnd(new LoopstackClient(nc)).run('Note', 'Desk', {}, 'u1');
    expect(await run.result()).toBeUndefined();
    expect(nc.isClosed()).toBe(false);
  });
});

import { LoopstackClient } from '@loopstack/client';
import { Workflow, Workspace } from '@loopstack/core';
import { startNatsServer, type NatsServer } from '@loopstack/nats-server';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as outage } from 'node:timers/promises';
import { connect } from 'nats';
import { startApp } from './rig/app.js';
import { Proxy } from './rig/proxy.js';
import { Journal } from './rig/journal.js';
import { until } from './until.js';
import { WorkerProcess } from './rig/worker-process.js';
import type { PlannedWorkflow, WorkerPlan } from './rig/worker/program.js';

describe('workers', () => {
  let server: NatsServer;
  let client: LoopstackClient;
  let folder: string;
  let workers: WorkerProcess[];
  let journal: Journal;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'loopstack-workers-'));
    journal = new Journal(join(folder, 'journal'));
    workers = [];
    server = await startNatsServer();
    client = await LoopstackClient.connect({ servers: server.url });
  });

  afterEach(async () => {
    await client?.close();
    await Promise.all(workers.map((worker) => worker.end()));
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const flow = (options: PlannedWorkflow['options'] = {}): PlannedWorkflow => ({ workspace: 'Orders', name: 'Process', options });
  const start = async (workflow: PlannedWorkflow): Promise<WorkerProcess> => {
    const plan: WorkerPlan = { journal: journal.file, nats: { servers: server.url }, workflows: [workflow] };
    const worker = await WorkerProcess.start(plan, join(folder, `worker-${workers.length}.log`));
    workers.push(worker);
    return worker;
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
  it('is made anew when it is dead', async () => {
    const server = await startNatsServer();
    const proxy = await Proxy.start(server.url);
    const nc = await connect({ servers: proxy.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    const app = await startApp([Desk, Note], { connection: nc });
    const own = await LoopstackClient.connect({ servers: server.url });
    try {
      await (await own.run('Note', 'Desk', {}, 'u1')).result();
      // As by a firewall that has forgotten the connection.
      proxy.forget();
      await (await own.run('Note', 'Desk', {}, 'u1')).result({ timeout: '30s' });
    } finally {
      await own.close();
      proxy.cut();
      await app.close();
      await nc.close();
      await proxy.stop();
      await server.stop();
    }
  });

  it('stays at its server, also while JetStream does not answer there', async () => {
    const server = await startNatsServer();
    const servers = [server.url, server.url.replace('127.0.0.1', 'localhost')];
    const nc = await connect({ servers, reconnect: false });
    const app = await startApp([Desk, Note], { connection: nc });
    try {
      process.kill(server.pid as number, 'SIGSTOP');
      // Longer than it takes to leave a server.
      await outage(9000);
      process.kill(server.pid as number, 'SIGCONT');
      const client = new LoopstackClient(nc);
      const run = await client.run('Note', 'Desk', {}, 'u1');
      expect(await run.result()).toBeUndefined();
      expect(nc.isClosed()).toBe(false);
      await client.close();
    } finally {
      await app.close();
      await nc.close();
      await server.stop();
    }
  });
});

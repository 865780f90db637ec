import { LoopstackClient, commandSigner } from '@loopstack/client';
import { NonRetryableError, OnRun, RunService, Workflow, Workspace, type RunContext, type RunNotice } from '@loopstack/core';
import type { NatsConnectionLike } from '@loopstack/jetstream';
import { Bindings, Bucket, DeadLetters, LoopstackHealth, Replays } from '@loopstack/nats';
import { type NatsServer } from '@loopstack/nats-server';
import { HEADER } from '@loopstack/shared';
import { Injectable, type INestMicroservice } from '@nestjs/common';
import { nkeys } from 'nats';
import { harness } from '../rig/harness.js';
import { until } from '../until.js';
import { CLIENTS } from './clients.js';

interface Order {
  readonly id: string;
  /** Attempts that fail. */
  readonly fails?: number;
}

/** Orders in the order of their executions, and what was observed of runs. */
const shipped: Order[] = [];
const noticed: string[] = [];
let poisoned = true;

const shippedTimes = (id: string): number => shipped.filter((order) => order.id === id).length;

@Workflow({
  retry: { attempts: 3, delay: '10ms', jitter: 0 },
  on: [{ subject: 'orders.created', userId: 'shop' }],
  then: [{ workflow: 'Bill', when: ({ id }: Order) => id.startsWith('chained') }],
})
class Ship {
  run(order: Order, { attempt }: RunContext): Order {
    shipped.push(order);
    if (attempt <= (order.fails ?? 0)) throw new Error('not yet');
    return order;
  }
}

@Workflow({ on: [{ subject: 'orders.returned', map: ({ id }: Order) => requireOrder(id), userId: 'shop' }] })
class Bill {
  run(order: Order): string {
    shipped.push({ id: `bill ${order.id}` });
    if (order.id === 'poisoned' && poisoned) throw new NonRetryableError('poisoned');
    return 'billed';
  }
}

function requireOrder(id: string): Order {
  if (id === 'unmappable' && poisoned) throw new Error('unmappable');
  return { id };
}

/** Runs until it is told to end. */
@Workflow()
class Wait {
  run(_: Order, { signal }: RunContext): Promise<never> {
    shipped.push({ id: 'waiting' });
    return new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        shipped.push({ id: 'aborted' });
        reject(signal.reason as Error);
      });
    });
  }
}

@Workspace({ workflows: [Ship, Bill, Wait] })
class Orders {}

@Workflow()
class Keep {
  run(order: Order): Order {
    shipped.push(order);
    return order;
  }
}

/** Demands signatures. */
@Workspace({ workflows: [Keep] })
class Vault {}

@Injectable()
class Observer {
  @OnRun('Ship', 'succeeded', { delivery: 'live' })
  live({ runId }: RunNotice): void {
    noticed.push(`live ${runId}`);
  }

  @OnRun('Ship', 'succeeded')
  durable({ runId }: RunNotice): void {
    noticed.push(`durable ${runId}`);
  }
}

const pair = nkeys.createUser();
const sign = commandSigner(new TextDecoder().decode(pair.getSeed()));

describe.each(CLIENTS)('a worker over a connection of %s', (_, connect) => {
  const rig = harness();
  let server: NatsServer;
  let nc: NatsConnectionLike;
  let app: INestMicroservice;
  let runs: RunService;
  let client: LoopstackClient;

  beforeAll(async () => {
    server = await rig.startServer();
    nc = rig.closeAtEnd(await connect(rig.url), 'connections');
    const options = { service: 'orders', trust: { Vault: { signers: [pair.getPublicKey()] } } };
    app = await rig.startApp(
      [Ship, Bill, Wait, Keep, Orders, Vault, Observer],
      { connection: nc, inbound: true, sign, shutdownGrace: '2s' },
      options,
    );
    runs = app.get(RunService);
    client = app.get(LoopstackClient);
  });
  beforeEach(() => {
    shipped.length = 0;
    noticed.length = 0;
    poisoned = true;
  });

  const emit = (subject: string, event: Order): void => nc.publish(subject, Buffer.from(JSON.stringify(event)));

  it('runs a workflow and gives its result, its events and its state', async () => {
    const run = await runs.run(Ship, Orders, { id: 'a' }, 'u1');
    expect(await run.result()).toEqual({ id: 'a' });
    const types: string[] = [];
    for await (const { type } of run.events()) types.push(type);
    expect(types).toEqual(['succeeded']);
    expect(await client.get(run)).toMatchObject({ status: 'succeeded', attempt: 1 });
    expect((await client.list({ workspace: 'Orders', workflow: 'Ship' })).map(({ id }) => id)).toContain(run.id);
  });

  it('attempts again what fails', async () => {
    expect(await runs.runAndWait(Ship, Orders, { id: 'b', fails: 2 }, 'u1')).toEqual({ id: 'b', fails: 2 });
    expect(shippedTimes('b')).toBe(3);
  });

  it('writes a dead letter, which a redrive takes away', async () => {
    const letters = app.get(DeadLetters);
    const run = await runs.run(Bill, Orders, { id: 'poisoned' }, 'u1');
    await expect(run.result()).rejects.toMatchObject({ code: 'RUN_FAILED' });
    await until('there is a letter', async () => (await letters.list()).length === 1);
    poisoned = false;
    expect(await letters.redrive({ workflow: 'Bill' })).toMatchObject({ failed: [] });
    await until('it has succeeded', async () => (await run.status()).status === 'succeeded');
    expect(await letters.list()).toEqual([]);
  });

  it('ends a run that is canceled', async () => {
    const run = await runs.run(Wait, Orders, { id: 'c' }, 'u1');
    await until('it runs', () => shippedTimes('waiting') === 1);
    expect(await run.cancel()).toMatchObject({ status: 'canceled' });
    await until('its signal is aborted', () => shippedTimes('aborted') === 1);
  });

  it('starts runs from events and from the end of runs, and uses an event again', async () => {
    emit('orders.created', { id: 'chained-event' });
    await until('the event and its chain have run', () => shippedTimes('chained-event') === 1 && shippedTimes('bill chained-event') === 1);
    emit('orders.returned', { id: 'unmappable' });
    const letters = app.get(DeadLetters);
    await until('there is a letter', async () => (await letters.list()).length === 1);
    poisoned = false;
    await letters.redrive({});
    await until('it has run', () => shippedTimes('bill unmappable') === 1);
    expect((await app.get(Bindings).list()).map(({ subject }) => subject)).toContain('orders.created');
  });

  it('calls the methods that observe its runs', async () => {
    const { id } = await runs.run(Ship, Orders, { id: 'observed' }, 'u1');
    await until('both were called', () => noticed.includes(`live ${id}`) && noticed.includes(`durable ${id}`));
  });

  it('runs what is scheduled and what is delayed', async () => {
    await client.schedule('often', { every: '1s' }, 'Ship', 'Orders', { id: 'scheduled' }, 'system');
    const delayed = await runs.run(Ship, Orders, { id: 'delayed' }, 'u1', { delay: '100ms' });
    expect(await delayed.result()).toEqual({ id: 'delayed' });
    await until('the schedule was due twice', () => shippedTimes('scheduled') >= 2);
    await client.schedules.cancel({ workspace: 'Orders', workflow: 'Ship' }, 'often');
    expect(await client.schedules.list({ workspace: 'Orders', workflow: 'Ship' })).toEqual([]);
  });

  it('replays what was executed, as other runs and as the same', async () => {
    const run = await runs.run(Ship, Orders, { id: 'replayed' }, 'u1');
    await run.result();
    const request = { workspace: 'Orders', workflow: 'Ship', fromSequence: run.sequence, toSequence: run.sequence };
    const replays = app.get(Replays);
    expect((await replays.start({ ...request, as: 'new-run' })).counts).toMatchObject({ published: 1 });
    await until('it was executed again', () => shippedTimes('replayed') === 2);
    expect((await replays.start({ ...request, as: 'same-run', outcome: 'succeeded' })).counts).toMatchObject({ published: 1 });
    await until('and once more', () => shippedTimes('replayed') === 3);
  });

  it('starts many runs in bulk, and a batch of them together', async () => {
    const items = Array.from({ length: 300 }, (__, i) => ({
      workflow: 'Ship',
      workspace: 'Orders',
      payload: { id: `many-${i}` },
      userId: 'u1',
    }));
    expect(await runs.runMany(items)).toMatchObject({ accepted: 300, failed: 0 });
    const batch = await runs.fanOut(items.slice(0, 20));
    expect(await Promise.all(batch.map((run) => run.result()))).toHaveLength(20);
    await until('all have run', () => shipped.filter(({ id }) => id.startsWith('many-')).length === 320);
  });

  it('refuses by the catalogue what no worker serves', async () => {
    const checking = new LoopstackClient(nc, { checkCatalogue: true, sign });
    await expect(checking.run('Sihp', 'Orders', {}, 'u1')).rejects.toMatchObject({ code: 'WORKFLOW_UNKNOWN' });
    expect((await checking.run('Ship', 'Orders', { id: 'd' }, 'u1')).workflow).toBe('Ship');
    await checking.close();
  });

  it('runs what its producers have signed, and nothing else where signatures are demanded', async () => {
    const unsigned = new LoopstackClient(nc);
    await unsigned.run('Keep', 'Vault', { id: 'unsigned' }, 'u1');
    expect(await runs.runAndWait(Keep, Vault, { id: 'signed' }, 'u1')).toEqual({ id: 'signed' });
    const letters = app.get(DeadLetters);
    await until('there is a letter', async () => (await letters.list()).length === 1);
    expect((await letters.list()).map(({ code }) => code)).toEqual(['UNTRUSTED']);
    expect(shippedTimes('unsigned')).toBe(0);
    await letters.discard({});
    await unsigned.close();
  });

  it('keeps documents in a bucket', async () => {
    const bucket = new Bucket(nc, 'DOCUMENTS');
    expect([await bucket.create('a.b', 1), await bucket.create('a.b', 2)]).toEqual([true, false]);
    await bucket.put('a.c', 3);
    expect((await bucket.list<number>('a.*')).toSorted((a, b) => a - b)).toEqual([1, 3]);
    await bucket.remove('a.b');
    expect(await bucket.get('a.b')).toBeUndefined();
    expect(await bucket.create('a.b', 4)).toBe(true);
  });

  it('takes a command whose headers no client library reads, and goes on', async () => {
    const block = Buffer.from(`NATS/1.0\r\nnot a name: 1\r\n${HEADER.RUN_ID}: odd\r\n\r\n`);
    const headers = { encode: () => block } as never;
    nc.publish('loopstack.run.Orders.Ship', Buffer.from('{"payload":{"id":"odd"},"userId":"u1"}'), { headers });
    const letters = app.get(DeadLetters);
    await until('there is a letter', async () => (await letters.list()).length === 1);
    expect((await letters.list()).map(({ code }) => code)).toEqual(['COMMAND_INVALID']);
    await letters.discard({});
    expect(await runs.runAndWait(Ship, Orders, { id: 'e' }, 'u1')).toEqual({ id: 'e' });
  });

  it('goes on after a restart of the server, with the runs that were started meanwhile', async () => {
    const health = app.get(LoopstackHealth);
    await server.kill();
    await until('it is not ready', async () => (await health.ready()).loopstack.status === 'down');
    const started = Promise.all(
      Array.from({ length: 20 }, (__, i) => runs.run(Ship, Orders, { id: `late-${i}` }, 'u1', { publishTimeout: '30s' })),
    );
    await server.restart();
    const results = await Promise.all((await started).map((run) => run.result({ timeout: '30s' })));
    expect(results).toHaveLength(20);
    await until('it is ready', async () => (await health.ready()).loopstack.status === 'up');
    emit('orders.created', { id: 'late-event' });
    await until('it consumes events', () => shippedTimes('late-event') === 1);
  });

  it('leaves a connection open that it was given', async () => {
    await app.close();
    expect(nc.isClosed()).toBe(false);
    await expect(runs.run(Ship, Orders, { id: 'f' }, 'u1')).rejects.toMatchObject({ code: 'CLOSED' });
    await nc.flush();
  });
});

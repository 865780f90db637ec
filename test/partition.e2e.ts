import { LoopstackClient } from '@loopstack/client';
import { Workflow, Workspace } from '@loopstack/core';
import { startNatsServer, type NatsServer } from '@loopstack/nats-server';
import type { INestMicroservice } from '@nestjs/common';
import { connect, type NatsConnection } from 'nats';
import { startApp } from './rig/app.js';

@Workflow()
class Process {
  run({ n }: { n: number }): number {
    return n + 1;
  }
}

@Workspace({ name: 'Orders', workflows: [Process] })
class Orders {}

@Workspace({ name: 'Billing', workflows: [Process] })
class Billing {}

// The recipe of docs/scaling.md.
const MAPPINGS = `
  mappings {
    "loopstack.run.Orders.*": "orders.run.Orders.{{wildcard(1)}}"
    "loopstack.lane.*.Orders.*": "orders.lane.{{wildcard(1)}}.Orders.{{wildcard(2)}}"
  }
`;

describe('a workspace in streams of its own', () => {
  let server: NatsServer;
  let nc: NatsConnection;
  const apps: INestMicroservice[] = [];
  beforeAll(async () => {
    server = await startNatsServer({ config: MAPPINGS });
    nc = await connect({ servers: server.url });
    apps.push(await startApp([Process, Orders], { servers: server.url, prefix: 'orders' }));
    apps.push(await startApp([Process, Billing], { servers: server.url }));
  });
  afterAll(async () => {
    await Promise.all(apps.map((app) => app.close()));
    await nc?.close();
    await server?.stop();
  });

  it('is reached by producers that know nothing of it, by a subject mapping of the server', async () => {
    const client = new LoopstackClient(nc);
    const orders = await client.run<number>('Process', 'Orders', { n: 1 }, 'u1');
    const urgent = await client.run<number>('Process', 'Orders', { n: 2 }, 'u1', { priority: 'high' });
    const billing = await client.run<number>('Process', 'Billing', { n: 3 }, 'u1');
    expect([orders.stream, urgent.stream, billing.stream]).toEqual(['ORDERS_RUNS', 'ORDERS_RUNS', 'LOOPSTACK_RUNS']);
    expect(await billing.result()).toBe(4);

    // Whoever asks for outcomes is told the prefix.
    const there = new LoopstackClient(nc, { prefix: 'orders' });
    expect(await there.handle<number>(orders, orders.id).result()).toBe(2);
    expect(await there.handle<number>(urgent, urgent.id).result()).toBe(3);
    await client.close();
    await there.close();
  });
});

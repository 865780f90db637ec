import { LoopstackClient } from '@loopstack/client';
import { Workflow, Workspace } from '@loopstack/core';
import { type NatsConnection } from 'nats';
import { harness } from './rig/harness.js';

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
  const rig = harness();
  let nc: NatsConnection;
  beforeAll(async () => {
    await rig.startServer({ config: MAPPINGS });
    nc = await rig.connect();
    await rig.startApp([Process, Orders], { prefix: 'orders' });
    await rig.startApp([Process, Billing]);
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

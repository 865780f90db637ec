import { setTimeout as delay } from 'node:timers/promises';
import type { Consumption } from '../contender.js';
import type { ContenderName } from '../contenders/all.js';
import { cost, rate, type Lab } from '../lab.js';
import type { Size } from '../order.js';

/** Draining a queue: consume, validate, run a workflow that does nothing, acknowledge; a new worker process each round. */
export async function consumingWide(lab: Lab): Promise<void> {
  await drain(lab, 256, false, 256);
  await drain(lab, 256, true, 256);
  if (!lab.plan.short) await drain(lab, 256, false, 1024);
}

/** The same with few slots. */
export async function consumingNarrow(lab: Lab): Promise<void> {
  for (const concurrency of [1, 16]) {
    await drain(lab, concurrency, false, 256);
    await drain(lab, concurrency, true, 256);
  }
}

async function drain(lab: Lab, concurrency: number, outcomes: boolean, size: Size): Promise<void> {
  const name = `consume at concurrency ${concurrency}, ${outcomes ? 'outcomes recorded, ' : ''}${size === 256 ? '256 B' : '1 KiB'}`;
  const costs = new Map<string, number[]>();
  const memory = new Map<string, number[]>();
  const one = (label: string, contender: ContenderName, orders: number) => async () => {
    const consumed = await lab.drain(contender, { concurrency, outcomes }, size, orders);
    costs.set(label, [...(costs.get(label) ?? []), cost(consumed) / 10]);
    memory.set(label, [...(memory.get(label) ?? []), consumed.maxRssMb]);
    return rate(consumed);
  };
  const { short } = lab.plan;
  // Without slots to wait for, a round of a few ten thousand would be half of it a process that is not compiled yet.
  const orders = short || concurrency < 256 ? lab.plan.orders : 3 * lab.plan.orders;
  // A bare loop has no outcomes to record; it is the ceiling of both cases.
  const contenders: Record<string, () => Promise<number>> = {
    'bare nats': one('bare nats', 'bare', orders),
    Loopstack: one('Loopstack', 'loopstack', orders),
  };
  if (lab.redis) contenders['BullMQ'] = one('BullMQ', outcomes ? 'bullmqKeeping' : 'bullmq', Math.ceil(orders / 4));
  if (!short && !outcomes && concurrency === 16 && size === 256) {
    contenders['nestjs-nats-jetstream-transport'] = one('nestjs-nats-jetstream-transport', 'nestPlugins', Math.ceil(orders / 8));
    contenders['@horizon-republic/nestjs-jetstream'] = one('@horizon-republic/nestjs-jetstream', 'horizon', Math.ceil(orders / 8));
  }
  await lab.rounds(name, 'runs/s', contenders);
  if (concurrency !== 256 || size !== 256) return;
  // CPU microseconds a run, divided by ten: CPU seconds of 100,000 runs.
  for (const [label, values] of costs) lab.add(`CPU seconds of the worker per 100,000 runs, ${name} / ${label}`, 's', values);
  for (const [label, values] of memory) lab.add(`peak memory of the worker, ${name} / ${label}`, 'MB', values);
}

/** The same with more processes of the worker, and with more workflows in one. */
export async function workers(lab: Lab): Promise<void> {
  await lab.rounds('worker processes, concurrency 256', 'runs/s', {
    '1': () => together(lab, 1),
    '2': () => together(lab, 2),
  });
}

/** Seldom enough that looking does not take the core that is measured. */
const LOOK_EVERY_MS = 20;

async function together(lab: Lab, processes: number): Promise<number> {
  const consumption: Consumption = { concurrency: 256, outcomes: false };
  // Enough for several looks at the queue while it is drained.
  const orders = 10 * lab.plan.orders;
  const producer = await lab.producer('loopstack');
  await producer.ask('batch', 0, orders, 256);
  await producer.end();
  const workersOf = Array.from({ length: processes }, () => lab.actor());
  const expectation = { expected: orders + 1, warmUp: 1, places: orders };
  await Promise.all(workersOf.map((worker) => worker.ask('consume', 'loopstack', lab.servers, consumption, expectation)));
  const watcher = lab.actor();
  let warm: { readonly ms: number; readonly left: number } | undefined;
  for (;;) {
    const left = await watcher.ask('queued', 'loopstack', lab.servers);
    const ms = performance.now();
    if (warm === undefined && left < orders * 0.7) warm = { ms, left };
    if (left > 0) {
      await delay(LOOK_EVERY_MS);
      continue;
    }
    const executed = await Promise.all(workersOf.map((worker) => worker.ask('executed')));
    const sum = executed.reduce((total, count) => total + count, 0);
    if (sum !== orders) throw new Error(`${sum} of ${orders} orders were executed`);
    if (warm === undefined) throw new Error(`${orders} orders were executed before the queue was looked at`);
    await lab.rest();
    return (warm.left / (ms - warm.ms)) * 1000;
  }
}

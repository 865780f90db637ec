import type { ContenderName } from '../contenders/all.js';
import type { Lab } from '../lab.js';
import { quantile } from '../statistics.js';

/** From the call that publishes to the call of the workflow. */
export async function latency(lab: Lab): Promise<void> {
  for (const perSecond of lab.plan.short ? [1000] : [100, 1000]) {
    const seconds = lab.plan.short ? 2 : 6;
    const tails = new Map<string, number[]>();
    const one = (label: string, contender: ContenderName) => async () => {
      const latencies = await paced(lab, contender, perSecond, seconds);
      tails.set(label, [...(tails.get(label) ?? []), quantile(latencies, 0.99)]);
      return quantile(latencies, 0.5);
    };
    const contenders: Record<string, () => Promise<number>> = {
      'bare nats': one('bare nats', 'bare'),
      Loopstack: one('Loopstack', 'loopstack'),
    };
    if (lab.redis) contenders['BullMQ'] = one('BullMQ', 'bullmq');
    const name = `latency at ${perSecond.toLocaleString('en-US')}/s`;
    await lab.rounds(`${name}, p50`, 'ms', contenders);
    for (const [label, values] of tails) lab.add(`${name}, p99 / ${label}`, 'ms', values);
  }
}

async function paced(lab: Lab, contender: ContenderName, perSecond: number, seconds: number): Promise<readonly number[]> {
  const orders = perSecond * seconds;
  const producer = await lab.producer(contender);
  const worker = lab.actor();
  const expectation = { expected: orders, warmUp: Math.ceil(orders / 4) };
  await worker.ask('consume', contender, lab.servers, { concurrency: 256, outcomes: false }, expectation);
  await producer.ask('pace', orders, perSecond, 256);
  const { latencies, missing } = await worker.ask('consumed');
  if (missing > 0) throw new Error(`${missing} of ${orders} orders were lost`);
  await lab.rest();
  return latencies;
}

import { setTimeout as delay } from 'node:timers/promises';
import type { Consumption } from '../contender.js';
import { cost, residentMb, type Lab } from '../lab.js';
import type { Consumed } from '../program.js';

const NO_OP: Consumption = { concurrency: 256, outcomes: false };

/** What a run costs with more queued behind it. */
export async function flatByBacklog(lab: Lab): Promise<void> {
  const measured = 3 * lab.plan.orders;
  const backlogs = lab.plan.short ? [1_000, 20_000] : [1_000, 10_000, 100_000, 1_000_000];
  const byBacklog: Record<string, () => Promise<number>> = {};
  for (const backlog of backlogs) {
    byBacklog[backlog.toLocaleString('en-US')] = async () => cost(await lab.drain('loopstack', NO_OP, 256, measured, measured + backlog));
  }
  await lab.rounds('CPU per run by backlog behind it', 'us', byBacklog);
}

/** What a run costs with more workflows registered beside its own. */
export async function flatByWorkflows(lab: Lab): Promise<void> {
  const measured = 3 * lab.plan.orders;
  const byWorkflows: Record<string, () => Promise<number>> = {};
  for (const workflows of lab.plan.short ? [1, 100] : [1, 100, 1000]) {
    byWorkflows[workflows.toLocaleString('en-US')] = async () => cost(await running(lab, workflows, measured));
  }
  await lab.rounds('CPU per run by registered workflows', 'us', byWorkflows);
}

/** What a worker consumes that has been running for a while: the start of a thousand workflows is a cost of its own. */
async function running(lab: Lab, workflows: number, orders: number): Promise<Consumed> {
  const producer = await lab.producer('loopstack');
  const worker = lab.actor();
  const expectation = { expected: orders, warmUp: Math.ceil(orders / 3) };
  await worker.ask('consume', 'loopstack', lab.servers, { ...NO_OP, workflows }, expectation);
  await delay(5000);
  await producer.ask('batch', 0, orders, 256);
  const consumed = await worker.ask('consumed');
  if (consumed.missing > 0 || consumed.twice > 0) throw new Error(`${consumed.missing} were lost, ${consumed.twice} executed twice`);
  await lab.rest();
  return consumed;
}

/** From the start of a worker process to its first run, and what it holds in memory while many wait. */
export async function startUp(lab: Lab): Promise<void> {
  const many = lab.plan.short ? 20_000 : 200_000;
  const first = (queued: number) => async () => {
    const { firstMs, startMs } = await lab.drain('loopstack', NO_OP, 256, 1, queued);
    return firstMs - startMs;
  };
  await lab.rounds('start of a worker process to its first run, by orders queued', 'ms', {
    '1': first(1),
    [many.toLocaleString('en-US')]: first(many),
  });
  const held = (queued: number) => async () => {
    const producer = await lab.producer('loopstack');
    await producer.ask('batch', 0, queued, 256);
    await producer.end();
    const worker = lab.actor();
    // A workflow that does not end: all that this worker may take waits in it.
    const consumption = { ...NO_OP, stuck: true };
    await worker.ask('consume', 'loopstack', lab.servers, consumption, { expected: queued + 1, warmUp: 1, places: queued + 1 });
    await delay(3000);
    const megabytes = residentMb(worker.pid);
    await worker.kill();
    return megabytes;
  };
  await lab.rounds('memory of a worker process, by orders queued', 'MB', { '0': held(0), [many.toLocaleString('en-US')]: held(many) });
}

import { Replays } from '@loopstack/operations';
import { connect } from 'nats';
import { setTimeout as delay } from 'node:timers/promises';
import type { Actor } from '../actor.js';
import type { ContenderName } from '../contenders/all.js';
import type { Lab } from '../lab.js';
import { nowMs } from '../order.js';
import type { Consumed } from '../program.js';
import { median } from '../statistics.js';

/** One event starts some workflows; with BullMQ, its listener adds as many jobs. */
export async function fanOut(lab: Lab): Promise<void> {
  const { short } = lab.plan;
  await flood(lab, short ? 100 : 1000, 50);
  await flood(lab, short ? 1000 : 10_000, 5);
  await single(lab, short ? 10 : 150, 50);
}

/** Many events at once: from the first event to the last run. */
async function flood(lab: Lab, events: number, workflows: number): Promise<void> {
  await compare(lab, `fan-out of ${events.toLocaleString('en-US')} events to ${workflows} workflows`, 'runs/s', async (contender) => {
    const { producer, worker } = await listening(lab, contender, events, workflows, 1);
    const started = nowMs();
    await producer.ask('announce', 0, events, workflows);
    await ended(worker);
    return ((events * workflows) / (nowMs() - started)) * 1000;
  });
}

/** One event at a time: from its publish to the start of the last of its workflows. The first ones are warm-up. */
async function single(lab: Lab, events: number, workflows: number): Promise<void> {
  const warmUp = Math.ceil(events / 3);
  await compare(lab, `fan-out of an event to ${workflows} workflows, delay to the last start`, 'ms', async (contender) => {
    const { producer, worker } = await listening(lab, contender, events, workflows, warmUp * workflows);
    for (let event = 0; event < events; event++) {
      await producer.ask('announce', event, 1, workflows);
      while ((await worker.ask('executed')) < (event + 1) * workflows) await delay(1);
    }
    const { latencies } = await ended(worker);
    const perEvent = Array.from({ length: events - warmUp }, (_, i) => latencies.slice(i * workflows, (i + 1) * workflows));
    return median(perEvent.map((delays) => Math.max(...delays)));
  });
}

async function compare(lab: Lab, name: string, unit: string, measure: (contender: ContenderName) => Promise<number>): Promise<void> {
  const one = (contender: ContenderName) => async () => {
    const value = await measure(contender);
    await lab.rest();
    return value;
  };
  await lab.rounds(name, unit, { Loopstack: one('loopstack'), ...(lab.redis ? { BullMQ: one('bullmq') } : {}) });
}

async function listening(
  lab: Lab,
  contender: ContenderName,
  events: number,
  workflows: number,
  warmUp: number,
): Promise<{ readonly producer: Actor; readonly worker: Actor }> {
  const producer = await lab.producer(contender);
  const worker = lab.actor();
  const expectation = { expected: events, warmUp, times: workflows };
  await worker.ask('consume', contender, lab.servers, { concurrency: 16, outcomes: false, fanOut: workflows }, expectation);
  return { producer, worker };
}

async function ended(worker: Actor): Promise<Consumed> {
  const consumed = await worker.ask('consumed');
  const { missing, twice } = consumed;
  if (missing > 0 || twice > 0) throw new Error(`${missing} events were lost, ${twice} ran a workflow twice`);
  return consumed;
}

/** A batch replay: reading and judging what the stream holds, and publishing it again. */
export async function replay(lab: Lab): Promise<void> {
  const { orders, rounds } = lab.plan;
  const scanned: number[] = [];
  const published: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const producer = await lab.producer('loopstack');
    await producer.ask('batch', 0, orders, 256);
    await producer.end();
    const nc = await connect({ servers: lab.servers.nats });
    const replays = new Replays(nc);
    const before = performance.now();
    const preview = await replays.preview({ workspace: 'Bench' });
    const between = performance.now();
    const { counts } = await replays.start({ workspace: 'Bench' });
    const after = performance.now();
    await nc.close();
    if (preview.counts.matched !== orders || counts.published !== orders)
      throw new Error(`a replay found ${counts.published} of ${orders}`);
    scanned.push((orders / (between - before)) * 1000);
    published.push((orders / (after - between)) * 1000);
    await lab.rest();
  }
  lab.add('replay: scan (preview) / Loopstack', 'commands/s', scanned);
  lab.add('replay: scan and publish / Loopstack', 'commands/s', published);
}

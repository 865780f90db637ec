import { Replays } from '@loopstack/nats/operations';
import { connect } from 'nats';
import type { ContenderName } from '../contenders/all.js';
import type { Lab } from '../lab.js';

const WORKFLOWS = 50;

/** One event starts 50 workflows; with BullMQ, its listener adds 50 jobs. Measured from the first event to the last run. */
export async function fanOut(lab: Lab): Promise<void> {
  const events = lab.plan.short ? 100 : 400;
  const one = (contender: ContenderName) => async () => {
    const producer = await lab.producer(contender);
    const worker = lab.actor();
    const expectation = { expected: events, warmUp: 1, times: WORKFLOWS };
    await worker.ask('consume', contender, lab.servers, { concurrency: 16, outcomes: false, fanOut: WORKFLOWS }, expectation);
    const started = performance.timeOrigin + performance.now();
    await producer.ask('announce', events, WORKFLOWS);
    const { missing, twice } = await worker.ask('consumed');
    const ms = performance.timeOrigin + performance.now() - started;
    await lab.rest();
    if (missing > 0 || twice > 0) throw new Error(`${missing} events were lost, ${twice} ran a workflow twice`);
    return ((events * WORKFLOWS) / ms) * 1000;
  };
  const contenders: Record<string, () => Promise<number>> = { Loopstack: one('loopstack') };
  if (lab.redis) contenders['BullMQ'] = one('bullmq');
  await lab.rounds(`fan-out of an event to ${WORKFLOWS} workflows`, 'runs/s', contenders);
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

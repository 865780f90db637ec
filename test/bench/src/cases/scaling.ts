import { startNatsCluster, startNatsServer } from '@loopstack/nats-server';
import { readFileSync } from 'node:fs';
import type { Actor } from '../actor.js';
import type { Consumption, Servers } from '../contender.js';
import { producing, rate, type Lab } from '../lab.js';
import type { Consumed } from '../program.js';

interface Node {
  readonly pid: number | undefined;
}

/** What a run costs the servers, in CPU time of all of them together: one server, and three that keep three copies. */
export async function scaling(lab: Lab): Promise<void> {
  const one = await startNatsServer();
  const three = await startNatsCluster();
  try {
    await costs(lab, 'one server', [one], { nats: one.url, redisPort: 0 }, 1);
    await costs(lab, 'three servers, three copies', three.nodes, { nats: three.url, redisPort: 0 }, 3);
  } finally {
    await one.stop();
    await three.stop();
  }
}

async function costs(lab: Lab, where: string, nodes: readonly Node[], servers: Servers, replicas: number): Promise<void> {
  const { orders, rounds } = lab.plan;
  const cpu = new Map<string, number[]>();
  const rates = new Map<string, number[]>();
  const note = (rows: Map<string, number[]>, what: string, value: number): unknown => rows.set(what, [...(rows.get(what) ?? []), value]);
  for (let round = 0; round < rounds; round++) {
    for (const outcomes of [false, true]) {
      const consumption: Consumption = { concurrency: 256, outcomes, replicas };
      const producer = await producing(lab.actor(), 'loopstack', servers, consumption);
      const [publishing, publishMs] = await serverCost(nodes, orders, () => producer.ask('publish', 0, orders, 256, 256));
      if (!outcomes) {
        note(cpu, 'publish', publishing);
        note(rates, 'publish', (orders / publishMs) * 1000);
      }
      const [draining, consumed] = await serverCost(nodes, orders, () => drained(lab.actor(), servers, consumption, orders));
      const what = outcomes ? 'consume and record' : 'consume';
      note(cpu, what, draining);
      note(rates, what, rate(consumed));
      await lab.rest();
    }
  }
  for (const [what, values] of cpu) lab.add(`CPU of the servers a run, ${what} / ${where}`, 'us', values);
  for (const [what, values] of rates) lab.add(`runs a second, ${what} / ${where}`, 'runs/s', values);
}

async function drained(worker: Actor, servers: Servers, consumption: Consumption, orders: number): Promise<Consumed> {
  await worker.ask('consume', 'loopstack', servers, consumption, { expected: orders, warmUp: Math.ceil(orders / 3) });
  const consumed = await worker.ask('consumed');
  if (consumed.missing > 0 || consumed.twice > 0) throw new Error(`${consumed.missing} were lost, ${consumed.twice} executed twice`);
  return consumed;
}

/** CPU microseconds of the servers for each of the runs, beside what `work` resolves to. */
async function serverCost<T>(nodes: readonly Node[], runs: number, work: () => Promise<T>): Promise<[number, T]> {
  const before = cpuTicks(nodes);
  const result = await work();
  return [((cpuTicks(nodes) - before) * TICK_US) / runs, result];
}

/** A clock tick of /proc (`getconf CLK_TCK` is 100 on Linux). */
const TICK_US = 10_000;

function cpuTicks(nodes: readonly Node[]): number {
  return nodes.reduce((sum, { pid }) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return sum + Number(fields[11]) + Number(fields[12]);
  }, 0);
}

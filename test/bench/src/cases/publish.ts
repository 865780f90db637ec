import type { Actor } from '../actor.js';
import type { ContenderName } from '../contenders/all.js';
import type { Lab } from '../lab.js';
import type { Size } from '../order.js';

const PEERS: Readonly<Record<string, ContenderName>> = {
  Loopstack: 'loopstack',
  'nats js.publish': 'bare',
  'nats by hand': 'ceiling',
  'BullMQ add': 'bullmq',
};

/** Fewer would measure a producer that is not compiled yet. */
const WARM = 30_000;

const rateOf = (count: number, ms: number): number => (count / ms) * 1000;

/** Publishing with acknowledgement: one producer process for each contender, which is warm when it is measured. */
export async function publishing(lab: Lab): Promise<void> {
  const { plan } = lab;
  if (!plan.short) await publish(lab, 'publish one by one, 256 B', Math.ceil(plan.orders / 20), 256, 1);
  await publish(lab, 'publish 256 in flight, 256 B', Math.max(plan.orders, WARM), 256, 256);
  if (!plan.short) await publish(lab, 'publish 256 in flight, 1 KiB', plan.orders, 1024, 256);
}

async function publish(lab: Lab, name: string, count: number, size: Size, inFlight: number): Promise<void> {
  await withProducers(lab, name, PEERS, (actor) => async () => rateOf(count, await actor.ask('publish', 0, count, size, inFlight)));
}

/** As many as there are at once, by what each contender has for that. */
export async function batches(lab: Lab): Promise<void> {
  const count = lab.plan.short ? WARM : 100_000;
  const peers: Readonly<Record<string, ContenderName>> = {
    'Loopstack runMany': 'loopstack',
    'nats by hand': 'ceiling',
    'BullMQ addBulk': 'bullmq',
  };
  await withProducers(
    lab,
    `batch of ${count.toLocaleString('en-US')}, 256 B`,
    peers,
    (actor) => async () => rateOf(count, await actor.ask('batch', 0, count, 256)),
  );
}

/** On a server that writes to disk before it acknowledges. */
export async function durablePublishing(lab: Lab): Promise<void> {
  const servers = await lab.durable();
  const { short } = lab.plan;
  const few = short ? 600 : Math.ceil(lab.plan.orders / 40);
  // Groups are judged anew every ten seconds, for half of one: shorter rounds would measure mostly that, or not at all.
  const cases = [
    ['sync always: publish one by one, 256 B', few, 1],
    ['sync always: publish 256 in flight, 256 B', few * (short ? 4 : 16), 256],
    ['sync always: publish 4,096 in flight, 256 B', few * 32, 4096],
  ] as const;
  for (const [name, count, inFlight] of short ? cases.slice(1, 2) : cases) {
    const peers: Readonly<Record<string, ContenderName>> = { Loopstack: 'loopstack', 'nats js.publish': 'bare' };
    const measure = (actor: Actor) => async () => rateOf(count, await actor.ask('publish', 0, count, 256, inFlight));
    await withProducers(lab, name, peers, measure, servers);
  }
}

async function withProducers(
  lab: Lab,
  name: string,
  peers: Readonly<Record<string, ContenderName>>,
  measure: (actor: Actor) => () => Promise<number>,
  servers = lab.servers,
): Promise<void> {
  const actors = new Map<string, Actor>();
  const contenders: Record<string, () => Promise<number>> = {};
  for (const [label, contender] of Object.entries(peers)) {
    if (contender.startsWith('bullmq') && !lab.redis) continue;
    const actor = await lab.standing(contender, servers);
    actors.set(label, actor);
    contenders[label] = measure(actor);
  }
  await lab.rounds(name, 'per second', contenders, { warmUp: true });
  await Promise.all([...actors.values()].map((actor) => actor.end()));
}

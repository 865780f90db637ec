import { fileURLToPath } from 'node:url';
import { harness } from '../rig/harness.js';
import { Actor } from '../bench/src/actor.js';
import type { Servers } from '../bench/src/contender.js';
import { until } from '../until.js';

// A guard against changes that make each run cost more, where time cannot be measured: what a run allocates in the process
// of a producer or a worker hardly depends on the machine.

const WASTEFUL = ['--import', fileURLToPath(new URL('wasteful.mjs', import.meta.url))];
const WARM_UP = 15_000;
const MEASURED = 15_000;

/** Bytes a run. A change for the better lowers them; one that must raise them says why in its message. */
const LIMITS = { publish: 5000, bulk: 3800, consume: 6700, record: 10_700, fanOut: 26_500 };

describe('what a run allocates', () => {
  const rig = harness();
  let servers: Servers;
  const actors: Actor[] = [];
  beforeAll(async () => {
    await rig.startServer();
    servers = { nats: rig.url, redisPort: 0 };
  });
  afterEach(async () => {
    await Promise.all(actors.splice(0).map((actor) => actor.end()));
  });

  function started(...flags: readonly string[]): Actor {
    const made = new Actor(flags);
    actors.push(made);
    return made;
  }

  async function published(call: 'publish' | 'batch', ...flags: readonly string[]): Promise<number> {
    const producer = started(...flags);
    await producer.ask('reset', 'loopstack', servers);
    await producer.ask('produce', 'loopstack', servers);
    const publish = (from: number, count: number): Promise<number> =>
      call === 'publish' ? producer.ask('publish', from, count, 256, 256) : producer.ask('batch', from, count, 256);
    await publish(0, WARM_UP);
    await producer.ask('countAllocations');
    await publish(WARM_UP, MEASURED);
    return (await producer.ask('allocated')) / MEASURED;
  }

  async function consumed(outcomes: boolean, ...flags: readonly string[]): Promise<number> {
    const orders = WARM_UP + MEASURED;
    const consumption = { concurrency: 256, outcomes };
    const producer = started();
    await producer.ask('reset', 'loopstack', servers, consumption);
    await producer.ask('produce', 'loopstack', servers);
    await producer.ask('batch', 0, orders, 256);
    const worker = started(...flags);
    await worker.ask('consume', 'loopstack', servers, consumption, { expected: orders, warmUp: WARM_UP, allocations: true });
    const { allocated, missing, twice } = await worker.ask('consumed');
    expect({ missing, twice }).toEqual({ missing: 0, twice: 0 });
    return allocated / MEASURED;
  }

  /** Events that start five workflows each. */
  async function fannedOut(): Promise<number> {
    const times = 5;
    const producer = started();
    await producer.ask('reset', 'loopstack', servers);
    await producer.ask('produce', 'loopstack', servers);
    const worker = started();
    const consumption = { concurrency: 16, outcomes: false, fanOut: times };
    const expectation = { expected: (WARM_UP + MEASURED) / times, times, warmUp: WARM_UP, allocations: true };
    await worker.ask('consume', 'loopstack', servers, consumption, expectation);
    await producer.ask('announce', 0, WARM_UP / times, times);
    // What is measured begins with the first event of the second half, not with the runs of events that were handled before.
    await until('the warm-up is over', async () => (await worker.ask('executed')) === WARM_UP);
    await producer.ask('announce', WARM_UP / times, MEASURED / times, times);
    const { allocated, missing, twice } = await worker.ask('consumed');
    expect({ missing, twice }).toEqual({ missing: 0, twice: 0 });
    return allocated / MEASURED;
  }

  const told = (what: string, bytes: number): number => {
    console.log(`hot path: ${what} allocates ${Math.round(bytes)} bytes a run`);
    return bytes;
  };

  it('where it is published with 256 others in flight', async () => {
    expect(told('publish', await published('publish'))).toBeLessThan(LIMITS.publish);
  });

  it('where it is published in bulk', async () => {
    expect(told('bulk', await published('batch'))).toBeLessThan(LIMITS.bulk);
  });

  it('where it is consumed', async () => {
    expect(told('consume', await consumed(false))).toBeLessThan(LIMITS.consume);
  });

  it('where it is consumed and its outcome is recorded', async () => {
    expect(told('record', await consumed(true))).toBeLessThan(LIMITS.record);
  });

  it('where an event starts it', async () => {
    expect(told('fan-out', await fannedOut())).toBeLessThan(LIMITS.fanOut);
  });

  it('is above the limit once a change wastes two kilobytes (publish)', async () => {
    expect(await published('publish', ...WASTEFUL)).toBeGreaterThan(LIMITS.publish);
  });

  it('is above the limit once a change wastes two kilobytes (consume)', async () => {
    expect(await consumed(false, ...WASTEFUL)).toBeGreaterThan(LIMITS.consume);
  });
});

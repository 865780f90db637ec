// A process of its own for one contender: a producer or a consumer. Asked and answering over the IPC channel.

import { Allocations } from './allocations.js';
import type { Consumer, Consumption, Producer, Servers } from './contender.js';
import { CONTENDERS, type ContenderName } from './contenders/all.js';
import { nowMs, type Size } from './order.js';
import { Tally, type Count, type Expectation } from './tally.js';

/** What a consumer tells of a round. */
export interface Consumed extends Count {
  /** From the end of the warm-up to the end. */
  readonly ms: number;
  readonly firstMs: number;
  readonly cpuSeconds: number;
  readonly maxRssMb: number;
  readonly allocated: number;
  readonly latencies: readonly number[];
}

let allocations: Allocations | undefined;
let producer: Producer | undefined;
let consumer: Consumer | undefined;
let tally: Tally | undefined;

/** Questions that the other side may ask. */
export const program = {
  reset: async (name: ContenderName, servers: Servers, consumption?: Partial<Consumption>): Promise<void> =>
    (await CONTENDERS[name]()).reset(servers, consumption),
  queued: async (name: ContenderName, servers: Servers): Promise<number> => (await CONTENDERS[name]()).queued(servers),
  async produce(name: ContenderName, servers: Servers): Promise<void> {
    producer = await (await CONTENDERS[name]()).producer(servers);
  },
  /** @returns milliseconds */
  async publish(from: number, count: number, size: Size, inFlight: number): Promise<number> {
    const started = performance.now();
    await producer?.publish(from, count, size, inFlight);
    return performance.now() - started;
  },
  /** @returns milliseconds */
  async batch(from: number, count: number, size: Size): Promise<number> {
    const started = performance.now();
    await producer?.batch(from, count, size);
    return performance.now() - started;
  },
  async announce(from: number, events: number, times: number): Promise<void> {
    if (!producer?.announce) throw new Error('it has no fan-out');
    await producer.announce(from, events, times);
  },
  /** Publishes `count` orders, `perSecond`, evenly, each with its time. */
  async pace(count: number, perSecond: number, size: Size): Promise<void> {
    const started = performance.now();
    const published: Promise<void>[] = [];
    for (let place = 0; place < count;) {
      const due = Math.min(count, Math.floor(((performance.now() - started) / 1000) * perSecond) + 1);
      for (; place < due; place++) published.push(producer?.publish(place, 1, size, 1, true) ?? Promise.resolve());
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await Promise.all(published);
  },
  async consume(name: ContenderName, servers: Servers, consumption: Consumption, expectation: Expectation): Promise<void> {
    tally = new Tally(expectation);
    consumer = await (await CONTENDERS[name]()).consumer(servers, consumption, tally);
  },
  /** Resolves when all that is expected is executed; `toTheEnd`: and settled. */
  async consumed(toTheEnd = true): Promise<Consumed> {
    if (!tally || !consumer) throw new Error('nothing is consumed');
    await tally.done;
    if (toTheEnd) await consumer.settled();
    const { firstMs, warmMs, latencies, cpuSeconds, allocated } = tally;
    const ms = (toTheEnd ? nowMs() : tally.doneMs) - warmMs;
    return { ...tally.count(), ms, firstMs, latencies, cpuSeconds, allocated, maxRssMb: process.resourceUsage().maxRSS / 1024 };
  },
  /** Begins to count what this process allocates. */
  countAllocations(): Promise<void> {
    allocations = new Allocations();
    return Promise.resolve();
  },
  /** @returns bytes that were allocated since then */
  allocated: (): Promise<number> => Promise.resolve(allocations?.stop() ?? 0),
  /** Executions so far. */
  executed: (): Promise<number> => Promise.resolve(tally?.executed ?? 0),
  async close(): Promise<void> {
    await producer?.close();
    await consumer?.close();
  },
} as const;

export type Program = typeof program;
export interface Question {
  readonly id: number;
  readonly call: keyof Program;
  readonly args: readonly unknown[];
}
export type Answer = { readonly id: number; readonly value: unknown } | { readonly id: number; readonly error: string };

process.on('message', ({ id, call, args }: Question) => {
  const ask = program[call] as (...given: readonly unknown[]) => Promise<unknown>;
  ask(...args).then(
    (value) => process.send?.({ id, value }),
    (error: unknown) => process.send?.({ id, error: (error as Error).stack ?? String(error) }),
  );
});

// An orderly end, so that a profile is written.
process.on('disconnect', () => process.exit());

import type { Size } from './order.js';
import type { Tally } from './tally.js';

/** Where the servers are. */
export interface Servers {
  readonly nats: string;
  readonly redisPort: number;
}

/** What a consumer is asked to be. */
export interface Consumption {
  readonly concurrency: number;
  /** Outcomes are recorded and kept. */
  readonly outcomes: boolean;
  /** Registered workflows; all orders go to the first one. Default 1. */
  readonly workflows?: number;
  /** Workflows that each announced event starts, in place of those. */
  readonly fanOut?: number;
  /** Runs that never end. */
  readonly stuck?: boolean;
  /** Copies of each stream. Default 1. */
  readonly replicas?: number;
}

/** Publishes orders with acknowledgement: what resolves is stored. */
export interface Producer {
  /** Stores the orders from `from` on, `inFlight` at a time. `stamped`: with the time in each. */
  publish(from: number, count: number, size: Size, inFlight: number, stamped?: boolean): Promise<void>;
  /** As fast as the contender can store many at once. */
  batch(from: number, count: number, size: Size): Promise<void>;
  /** Tells the events from `from` on, each with its time and to be executed `times` times. */
  announce?(from: number, events: number, times: number): Promise<void>;
  close(): Promise<void>;
}

export interface Consumer {
  /** Resolves when every order that was executed is settled. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

/** One way to publish and consume. */
export interface Contender {
  readonly name: string;
  producer(servers: Servers): Promise<Producer>;
  /** Begins to consume, counting in `tally` what it executes. Resolves when it does. */
  consumer(servers: Servers, consumption: Consumption, tally: Tally): Promise<Consumer>;
  /** Makes the queue, or empties it. */
  reset(servers: Servers, consumption?: Partial<Consumption>): Promise<void>;
  /** Orders that are stored and not settled. */
  queued(servers: Servers): Promise<number>;
}

/** Calls `one` for each place, `inFlight` at a time. */
export async function inWindow(from: number, count: number, inFlight: number, one: (place: number) => Promise<unknown>): Promise<void> {
  let next = from;
  const end = from + count;
  const lane = async (): Promise<void> => {
    while (next < end) await one(next++);
  };
  await Promise.all(Array.from({ length: Math.min(inFlight, count) }, lane));
}

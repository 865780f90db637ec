import { startNatsServer, type NatsServer } from '@loopstack/nats-server';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Actor } from './actor.js';
import type { Consumption, Servers } from './contender.js';
import type { ContenderName } from './contenders/all.js';
import type { Size } from './order.js';
import type { Consumed } from './program.js';
import { quiet } from './quiet.js';
import { Redis } from './redis.js';
import type { Row } from './statistics.js';

const CHECKOUT = fileURLToPath(new URL('../../../', import.meta.url));

/** How much is measured. */
export interface Plan {
  readonly short: boolean;
  readonly rounds: number;
  /** Orders of a round of consuming or publishing; the first third is warm-up. */
  readonly orders: number;
}

/** The servers, the rows, and the processes of a case. */
export class Lab {
  readonly rows: Row[] = [];
  readonly #actors = new Set<Actor>();
  #durable: NatsServer | undefined;

  private constructor(
    readonly plan: Plan,
    readonly nats: NatsServer,
    readonly redis: Redis | undefined,
    private readonly say: (line: string) => void,
  ) {}

  static async start(plan: Plan, say: (line: string) => void): Promise<Lab> {
    const nats = await startNatsServer();
    const redis = await Redis.start().catch((error: Error) => {
      say(`BullMQ is left out: ${error.message}`);
      return undefined;
    });
    return new Lab(plan, nats, redis, say);
  }

  get servers(): Servers {
    return { nats: this.nats.url, redisPort: this.redis?.port ?? 0 };
  }

  /** A server that writes to disk before it acknowledges. */
  async durable(): Promise<Servers> {
    this.#durable ??= await startNatsServer({ config: 'jetstream { sync_interval: always }' });
    return { nats: this.#durable.url, redisPort: 0 };
  }

  /**
   * Measures contenders in turn, round by round, in an order that rotates. The first round of each is thrown away if
   * `warmUp` says so. One that fails is reported and left out.
   */
  async rounds(
    name: string,
    unit: string,
    contenders: Readonly<Record<string, () => Promise<number>>>,
    { rounds = this.plan.rounds, warmUp = false } = {},
  ): Promise<void> {
    const values = new Map<string, number[]>(Object.keys(contenders).map((label) => [label, []]));
    for (let round = warmUp ? -1 : 0; round < rounds; round++) {
      const labels = [...values.keys()];
      for (let i = 0; i < labels.length; i++) {
        const label = labels[(i + Math.max(0, round)) % labels.length] as string;
        await quiet();
        try {
          const value = await (contenders[label] as () => Promise<number>)();
          if (round >= 0) values.get(label)?.push(value);
        } catch (error) {
          values.delete(label);
          // In the first line; without where this checkout is.
          const reason = ((error as Error).message.split('\n')[0] ?? '').replaceAll(CHECKOUT, '');
          this.say(`${name}: ${label} is left out: ${reason}`);
        }
      }
      await this.rest();
    }
    for (const [label, list] of values) {
      const row = { name: `${name} / ${label}`, unit, values: list };
      this.rows.push(row);
      this.say(shown(row));
    }
  }

  add(name: string, unit: string, values: readonly number[]): void {
    const row = { name, unit, values };
    this.rows.push(row);
    this.say(shown(row));
  }

  row(name: string): readonly number[] | undefined {
    return this.rows.find((row) => row.name === name)?.values;
  }

  actor(): Actor {
    const actor = new Actor();
    this.#actors.add(actor);
    return actor;
  }

  /** Ends the processes of a round. */
  async rest(): Promise<void> {
    const actors = [...this.#actors];
    this.#actors.clear();
    await Promise.all(actors.map((actor) => actor.end()));
  }

  /** A producer, with an empty queue. */
  producer(name: ContenderName): Promise<Actor> {
    return producing(this.actor(), name, this.servers);
  }

  /** A producer that stays over the rounds; its owner ends it. */
  standing(name: ContenderName, servers: Servers): Promise<Actor> {
    return producing(new Actor(), name, servers);
  }

  /** Fills the queue of a contender, then drains it with a new worker process. */
  async drain(
    name: ContenderName,
    consumption: Consumption,
    size: Size = 256,
    orders = this.plan.orders,
    queued = orders,
  ): Promise<Consumed & { readonly startMs: number }> {
    const producer = this.actor();
    await producer.ask('reset', name, this.servers, consumption);
    await producer.ask('produce', name, this.servers);
    await producer.ask('batch', 0, queued, size);
    await producer.end();
    await quiet();
    return this.consume(name, consumption, orders, queued);
  }

  async consume(
    name: ContenderName,
    consumption: Consumption,
    orders: number,
    queued = orders,
  ): Promise<Consumed & { readonly startMs: number }> {
    const worker = this.actor();
    const startMs = performance.timeOrigin + performance.now();
    await worker.ask('consume', name, this.servers, consumption, { places: queued, expected: orders, warmUp: Math.ceil(orders / 3) });
    const consumed = await worker.ask('consumed', queued === orders);
    await worker.end();
    if (consumed.missing > 0 || consumed.twice > 0 || consumed.executed < orders) {
      throw new Error(`${name}: of ${orders} orders ${consumed.missing} were lost and ${consumed.twice} executed twice`);
    }
    return { ...consumed, startMs };
  }

  async stop(): Promise<void> {
    await this.rest();
    await this.nats.stop();
    await this.#durable?.stop();
    await this.redis?.stop();
  }
}

/** Makes a process the producer of a contender, with an empty queue. */
export async function producing(actor: Actor, name: ContenderName, servers: Servers, consumption?: Consumption): Promise<Actor> {
  await actor.ask('reset', name, servers, consumption);
  await actor.ask('produce', name, servers);
  return actor;
}

/** Runs per second after the warm-up of a drain. */
export const rate = ({ expected, ms }: Consumed): number => ((expected - Math.ceil(expected / 3)) / ms) * 1000;

/** CPU microseconds of the worker process per run. */
export const cost = ({ expected, cpuSeconds }: Consumed): number => (cpuSeconds / (expected - Math.ceil(expected / 3))) * 1e6;

/** Resident memory of a process in MB; Linux only. */
export function residentMb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

export function figure(value: number): string {
  if (!Number.isFinite(value)) return '-';
  return value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toFixed(value >= 10 ? 1 : 2);
}

function shown({ name, unit, values }: Row): string {
  const list = [...values].sort((a, b) => a - b);
  return `${name}: ${figure(list[list.length >> 1] ?? Number.NaN)} ${unit} (${figure(list[0] ?? Number.NaN)} to ${figure(list.at(-1) ?? Number.NaN)})`;
}

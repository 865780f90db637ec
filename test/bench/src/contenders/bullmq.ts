import { Module, type INestApplicationContext, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { plainToInstance } from 'class-transformer';
import { validate } from 'class-validator';
import type { EventEmitter } from 'node:events';
import { inWindow, type Consumer, type Consumption, type Contender, type Producer } from '../contender.js';
import { nowMs, order, Order, USER, type Size } from '../order.js';
import type { Tally } from '../tally.js';

/** What is used of the two packages; they are installed for a run of the benchmarks only. */
interface Job {
  readonly data: { readonly payload: Order; readonly userId: string };
}
interface JobOptions {
  readonly removeOnComplete: boolean;
}
interface Queue {
  add(name: string, data: unknown, options: JobOptions): Promise<unknown>;
  addBulk(jobs: readonly { readonly name: string; readonly data: unknown; readonly opts: JobOptions }[]): Promise<unknown>;
  obliterate(options: { readonly force: boolean }): Promise<void>;
  getJobCounts(...types: string[]): Promise<Record<string, number>>;
  close(): Promise<void>;
}
interface BullMq {
  Queue: new (name: string, options: { readonly connection: object }) => Queue;
}
interface NestBullMq {
  BullModule: { forRoot(options: object): Type; registerQueue(options: object): Type };
  readonly Processor: (name: string, options: object) => ClassDecorator;
  WorkerHost: abstract new () => { readonly worker: EventEmitter };
}

const QUEUE = 'orders';
const connection = (port: number): object => ({ host: '127.0.0.1', port });
const name = (value: string): string => value;

async function queueOn(port: number): Promise<Queue> {
  const { Queue: BullQueue } = (await import(name('bullmq'))) as BullMq;
  return new BullQueue(QUEUE, { connection: connection(port) });
}

class BullProducer implements Producer {
  constructor(
    private readonly queue: Queue,
    private readonly keep: boolean,
  ) {}

  publish(from: number, count: number, size: Size, inFlight: number, stamped = false): Promise<void> {
    const opts = { removeOnComplete: !this.keep };
    return inWindow(from, count, inFlight, (place) =>
      this.queue.add('order', { payload: order(place, size, stamped ? nowMs() : 0), userId: USER }, opts),
    );
  }

  async batch(from: number, count: number, size: Size): Promise<void> {
    const opts = { removeOnComplete: !this.keep };
    for (let at = from; at < from + count; at += 1000) {
      const many = Math.min(1000, from + count - at);
      await this.queue.addBulk(
        Array.from({ length: many }, (_, i) => ({ name: 'order', data: { payload: order(at + i, size), userId: USER }, opts })),
      );
    }
  }

  async announce(from: number, events: number, times: number): Promise<void> {
    const opts = { removeOnComplete: !this.keep };
    await inWindow(from, events, 64, (place) => {
      const data = { payload: order(place, 256, nowMs()), userId: USER };
      return this.queue.addBulk(Array.from({ length: times }, () => ({ name: 'order', data, opts })));
    });
  }

  close(): Promise<void> {
    return this.queue.close();
  }
}

class BullConsumer implements Consumer {
  constructor(
    private readonly app: INestApplicationContext,
    private readonly queue: Queue,
  ) {}

  async settled(): Promise<void> {
    for (;;) if ((await unsettled(this.queue)) === 0) return;
  }

  async close(): Promise<void> {
    await this.queue.close();
    await this.app.close();
  }
}

async function unsettled(queue: Queue): Promise<number> {
  const counts = await queue.getJobCounts('wait', 'active', 'delayed', 'failed');
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

async function start(port: number, { concurrency }: Consumption, tally: Tally): Promise<INestApplicationContext> {
  const { BullModule, Processor, WorkerHost } = (await import(name('@nestjs/bullmq'))) as NestBullMq;
  class OrderProcessor extends WorkerHost {
    async process(job: Job): Promise<{ readonly placed: boolean }> {
      const payload = plainToInstance(Order, job.data.payload);
      const errors = await validate(payload, { whitelist: true, forbidNonWhitelisted: true, forbidUnknownValues: true });
      if (errors.length > 0) throw new Error('invalid');
      tally.one(payload);
      return { placed: true };
    }
  }
  Processor(QUEUE, { concurrency })(OrderProcessor);
  @Module({
    imports: [BullModule.forRoot({ connection: connection(port) }), BullModule.registerQueue({ name: QUEUE })],
    providers: [OrderProcessor as never],
  })
  class App {}
  return NestFactory.createApplicationContext(App, { logger: ['fatal', 'error'] });
}

function contender(label: string, keep: boolean): Contender {
  return {
    name: label,
    async producer({ redisPort }) {
      return new BullProducer(await queueOn(redisPort), keep);
    },
    async consumer({ redisPort }, consumption, tally) {
      const app = await start(redisPort, consumption, tally);
      return new BullConsumer(app, await queueOn(redisPort));
    },
    async reset({ redisPort }) {
      const queue = await queueOn(redisPort);
      await queue.obliterate({ force: true });
      await queue.close();
    },
    async queued({ redisPort }) {
      const queue = await queueOn(redisPort);
      const left = await unsettled(queue);
      await queue.close();
      return left;
    },
  };
}

export const bullmq = contender('BullMQ', false);
export const bullmqKeeping = contender('BullMQ, results kept', true);

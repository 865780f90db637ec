import { LoopstackClient } from '@loopstack/client';
import { Publisher } from '@loopstack/jetstream';
import { JetStreamServer, NatsModule } from '@loopstack/nats';
import { LoopstackModule, Workflow, Workspace } from '@loopstack/core';
import type { RunItem } from '@loopstack/shared';
import { Module, type INestMicroservice, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { AsyncMicroserviceOptions, CustomStrategy } from '@nestjs/microservices';
import { connect, type JetStreamManager, type NatsConnection } from 'nats';
import { inWindow, type Consumer, type Consumption, type Contender, type Producer, type Servers } from '../contender.js';
import { nowMs, order, Order, USER, type Size } from '../order.js';
import { Tally } from '../tally.js';

const WORKSPACE = 'Bench';
const WORKFLOW = 'Order0';
const RUNS = 'LOOPSTACK_RUNS';
/** What is announced, and the stream of the service that announces it. */
const EVENT = 'bench.announced';
const EVENTS = 'BENCH_ANNOUNCED';
const STREAMS = [EVENTS, RUNS, 'LOOPSTACK_EVENTS', 'LOOPSTACK_DEAD', 'LOOPSTACK_SCHEDULES'];

class LoopstackProducer implements Producer {
  readonly #publisher: Publisher;

  constructor(
    private readonly client: LoopstackClient,
    private readonly nc: NatsConnection,
  ) {
    this.#publisher = new Publisher(nc);
  }

  publish(from: number, count: number, size: Size, inFlight: number, stamped = false): Promise<void> {
    return inWindow(from, count, inFlight, (place) =>
      this.client.run(WORKFLOW, WORKSPACE, order(place, size, stamped ? nowMs() : 0), USER),
    );
  }

  async batch(from: number, count: number, size: Size): Promise<void> {
    const { accepted } = await this.client.runMany(items(from, count, size));
    if (accepted !== count) throw new Error(`${count - accepted} orders were refused`);
  }

  /** As any service tells what happened: an event on a subject that a stream captures. */
  announce(from: number, events: number): Promise<void> {
    return inWindow(from, events, 64, (place) => this.#publisher.publish(EVENT, Buffer.from(JSON.stringify(order(place, 256, nowMs())))));
  }

  async close(): Promise<void> {
    await this.client.close();
    await this.#publisher.close();
    await this.nc.close();
  }
}

function* items(from: number, count: number, size: Size): Generator<RunItem> {
  for (let place = from; place < from + count; place++)
    yield { workflow: WORKFLOW, workspace: WORKSPACE, payload: order(place, size), userId: USER };
}

class LoopstackConsumer implements Consumer {
  constructor(
    private readonly app: INestMicroservice,
    private readonly nc: NatsConnection,
    private readonly jsm: JetStreamManager,
  ) {}

  async settled(): Promise<void> {
    for (;;) {
      const { num_ack_pending, num_pending } = await this.jsm.consumers.info(RUNS, `${WORKSPACE}~${WORKFLOW}`);
      if (num_ack_pending + num_pending === 0) return;
    }
  }

  async close(): Promise<void> {
    await this.app.close();
    await this.nc.close();
  }
}

function workflow(name: string, { concurrency, outcomes, fanOut, stuck }: Consumption, tally: Tally): Type {
  const on = fanOut === undefined ? {} : { on: [{ subject: EVENT, userId: USER }] };
  @Workflow({ name, payload: Order, concurrency, record: outcomes ? 'outcome' : 'none', ...on })
  class BenchWorkflow {
    async run(payload: Order): Promise<{ readonly placed: boolean }> {
      tally.one(payload);
      if (stuck) await new Promise(() => undefined);
      return { placed: true };
    }
  }
  return BenchWorkflow;
}

export async function startWorker(nats: string, consumption: Consumption, tally: Tally): Promise<INestMicroservice> {
  const flows = Array.from({ length: consumption.fanOut ?? consumption.workflows ?? 1 }, (_, index) =>
    workflow(`Order${index}`, consumption, tally),
  );
  @Workspace({ name: WORKSPACE, workflows: flows as never })
  class BenchWorkspace {}
  const { replicas = 1 } = consumption;
  @Module({
    imports: [LoopstackModule.forRoot(), NatsModule.forRoot({ servers: nats.split(','), replicas })],
    providers: [BenchWorkspace, ...flows],
  })
  class App {}
  const strategy: AsyncMicroserviceOptions = {
    inject: [JetStreamServer],
    useFactory: (server: JetStreamServer): CustomStrategy => ({ strategy: server }),
  };
  const app = await NestFactory.createMicroservice<AsyncMicroserviceOptions>(App, { ...strategy, logger: ['fatal', 'error'] });
  await app.listen();
  return app;
}

export const loopstack: Contender = {
  name: 'loopstack',
  async producer({ nats }: Servers) {
    const nc = await connect({ servers: nats.split(',') });
    return new LoopstackProducer(new LoopstackClient(nc), nc);
  },
  async consumer({ nats }, consumption, tally) {
    const app = await startWorker(nats, consumption, tally);
    const nc = await connect({ servers: nats.split(',') });
    return new LoopstackConsumer(app, nc, await nc.jetstreamManager());
  },
  /** As in a deployment, the worker was there before: its streams and consumers exist, with nothing in them. */
  async reset({ nats }, consumption) {
    const nc = await connect({ servers: nats.split(',') });
    const jsm = await nc.jetstreamManager();
    for (const stream of STREAMS) await jsm.streams.delete(stream).catch(() => undefined);
    await jsm.streams.add({ name: EVENTS, subjects: [EVENT] });
    await nc.close();
    const app = await startWorker(nats, { concurrency: 1, outcomes: false, ...consumption }, new Tally({ expected: 1, warmUp: 1 }));
    await app.close();
  },
  async queued({ nats }) {
    const nc = await connect({ servers: nats.split(',') });
    const { num_ack_pending, num_pending } = await (await nc.jetstreamManager()).consumers.info(RUNS, `${WORKSPACE}~${WORKFLOW}`);
    await nc.close();
    return num_ack_pending + num_pending;
  },
};

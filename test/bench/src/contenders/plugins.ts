import { Publisher } from '@loopstack/jetstream';
import { Controller, Module, ValidationPipe, type INestMicroservice, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, EventPattern, Payload, type CustomTransportStrategy } from '@nestjs/microservices';
import { plainToInstance } from 'class-transformer';
import { validate } from 'class-validator';
import { connect, type JetStreamManager, type NatsConnection } from 'nats';
import { inWindow, type Consumer, type Contender, type Producer, type Servers } from '../contender.js';
import { order, Order, USER, type Size } from '../order.js';
import type { Tally } from '../tally.js';

const packageName = (name: string): string => name;
const encoder = new TextEncoder();

/** Where a plugin consumes from. Both consume one message after the other, or as their own settings say. */
interface Place {
  readonly stream: string;
  readonly consumer: string;
  readonly subject: string;
}

class PluginProducer implements Producer {
  readonly #publisher: Publisher;

  constructor(
    private readonly nc: NatsConnection,
    private readonly subject: string,
  ) {
    this.#publisher = new Publisher(nc);
  }

  publish(from: number, count: number, size: Size, inFlight: number): Promise<void> {
    return inWindow(from, count, inFlight, (place) =>
      this.#publisher.publish(this.subject, encoder.encode(JSON.stringify({ payload: order(place, size), userId: USER }))),
    );
  }

  batch(from: number, count: number, size: Size): Promise<void> {
    return this.publish(from, count, size, 2048);
  }

  async close(): Promise<void> {
    await this.#publisher.close();
    await this.nc.close();
  }
}

class PluginConsumer implements Consumer {
  constructor(
    private readonly app: INestMicroservice,
    private readonly nc: NatsConnection,
    private readonly jsm: JetStreamManager,
    private readonly place: Place,
  ) {}

  async settled(): Promise<void> {
    for (;;) {
      const { num_ack_pending, num_pending } = await this.jsm.consumers.info(this.place.stream, this.place.consumer);
      if (num_ack_pending + num_pending === 0) return;
    }
  }

  async close(): Promise<void> {
    await this.app.close().catch(() => undefined);
    await this.nc.close();
  }
}

/** The handler, as a user of the plugin writes it. */
function controller(subject: string, tally: Tally, acknowledges: boolean): Type {
  @Controller()
  class OrderController {
    @EventPattern(subject)
    async place(@Payload() data: { readonly payload?: Order }, @Ctx() context: unknown): Promise<void> {
      const payload = plainToInstance(Order, data.payload);
      const errors = await validate(payload, { whitelist: true, forbidNonWhitelisted: true, forbidUnknownValues: true });
      if (errors.length > 0) throw new Error('invalid');
      tally.one(payload);
      if (acknowledges) (context as { readonly message: { ack(): void } }).message.ack();
    }
  }
  return OrderController;
}

function plugin(name: string, place: Place, start: (servers: Servers, tally: Tally) => Promise<INestMicroservice>): Contender {
  const remove = async (nats: string): Promise<void> => {
    const nc = await connect({ servers: nats });
    await (await nc.jetstreamManager()).streams.delete(place.stream).catch(() => undefined);
    await nc.close();
  };
  return {
    name,
    async producer({ nats }) {
      return new PluginProducer(await connect({ servers: nats }), place.subject);
    },
    async consumer(servers, _, tally) {
      const app = await start(servers, tally);
      const nc = await connect({ servers: servers.nats });
      return new PluginConsumer(app, nc, await nc.jetstreamManager(), place);
    },
    /** The plugin makes its stream and consumer; then it is gone until it is measured. */
    async reset(servers) {
      await remove(servers.nats);
      const app = await start(servers, { one: () => undefined } as unknown as Tally);
      await app.close().catch(() => undefined);
    },
    queued: async ({ nats }) => {
      const nc = await connect({ servers: nats });
      const { num_ack_pending, num_pending } = await (await nc.jetstreamManager()).consumers.info(place.stream, place.consumer);
      await nc.close();
      return num_ack_pending + num_pending;
    },
  };
}

interface NestPlugins {
  NatsJetStreamServer: new (options: object) => CustomTransportStrategy;
}

const NEST_PLUGINS: Place = { stream: 'BENCH_PLUGIN', consumer: 'bench-bench-plugin_order', subject: 'bench-plugin.order' };

export const nestPlugins = plugin('nestjs-nats-jetstream-transport', NEST_PLUGINS, async ({ nats }, tally) => {
  const { NatsJetStreamServer } = (await import(packageName('@nestjs-plugins/nestjs-nats-jetstream-transport'))) as NestPlugins;
  @Module({ controllers: [controller(NEST_PLUGINS.subject, tally, true)] })
  class App {}
  const strategy = new NatsJetStreamServer({
    connectionOptions: { servers: nats, name: 'bench' },
    consumerOptions: { deliverGroup: 'bench', durable: 'bench', deliverTo: 'bench', manualAck: true, maxAckPending: 100_000 },
    streamConfig: { name: NEST_PLUGINS.stream, subjects: [NEST_PLUGINS.subject] },
  });
  const app = await NestFactory.createMicroservice(App, { strategy, logger: ['fatal', 'error'] });
  await app.listen();
  return app;
});

interface Horizon {
  JetstreamServerModule: { forRoot(options: object): Type };
  readonly getJetStreamTransportToken: (name: string) => string;
}

const HORIZON: Place = {
  stream: 'bench__microservice_ev-stream',
  consumer: 'bench__microservice_ev-consumer',
  subject: 'bench__microservice.ev.order',
};

export const horizon = plugin('@horizon-republic/nestjs-jetstream', HORIZON, async ({ nats }, tally) => {
  const { JetstreamServerModule, getJetStreamTransportToken } = (await import(
    packageName('@horizon-republic/nestjs-jetstream')
  )) as Horizon;
  @Module({
    imports: [JetstreamServerModule.forRoot({ name: 'bench', servers: [nats] })],
    controllers: [controller('order', tally, false)],
  })
  class App {}
  const context = await NestFactory.create(App, { logger: ['fatal', 'error'] });
  const strategy = context.get<CustomTransportStrategy>(getJetStreamTransportToken('bench'));
  context.connectMicroservice({ strategy }, { inheritAppConfig: true });
  context.useGlobalPipes(new ValidationPipe());
  await context.startAllMicroservices();
  return context as unknown as INestMicroservice;
});

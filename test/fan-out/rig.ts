import { LoopstackModule, type LoopstackOptions } from '@loopstack/core';
import { Bindings, DeadLetters, JetStreamServer, LoopstackHealth, NatsModule, type NatsOptions } from '@loopstack/nats';
import { startNatsServer, type NatsServer } from '@loopstack/nats-server';
import { HEADER, isOutcome, type RunEvent } from '@loopstack/shared';
import { Module, type INestApplicationContext, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { AsyncMicroserviceOptions, CustomStrategy } from '@nestjs/microservices';
import { connect, headers as newHeaders, type JetStreamManager, type NatsConnection } from 'nats';
import { readEvents, readStream, type Stored } from '../rig/measure.js';

import { until } from '../until.js';

export { until };

export interface ServiceOptions {
  readonly name?: string;
  readonly providers: readonly Type<object>[];
  readonly controllers?: readonly Type<object>[];
  readonly nats?: Omit<NatsOptions, 'servers'>;
  readonly loopstack?: LoopstackOptions;
  /** False: an application without a worker, as a producer is. `beside`: one that has its worker beside it, as an HTTP server has. */
  readonly worker?: boolean | 'beside';
}

/** A service of its own: its Nest application, its connection. */
export class Service {
  private constructor(private readonly app: INestApplicationContext) {}

  static async start(
    servers: string,
    { name, providers, controllers = [], nats, loopstack, worker = true }: ServiceOptions,
  ): Promise<Service> {
    @Module({
      imports: [
        LoopstackModule.forRoot({ ...(name === undefined ? {} : { service: name }), ...loopstack }),
        NatsModule.forRoot({ servers, shutdownGrace: '2s', ...nats }),
      ],
      providers: [...providers],
      controllers: [...controllers],
    })
    class App {}
    const quiet = { logger: ['fatal' as const], abortOnError: false };
    if (worker === 'beside') {
      const app = await NestFactory.create(App, quiet);
      app.connectMicroservice({ strategy: app.get(JetStreamServer) });
      await app.startAllMicroservices();
      return new Service(await app.init());
    }
    if (!worker) return new Service(await NestFactory.createApplicationContext(App, quiet));
    const strategy: AsyncMicroserviceOptions = {
      inject: [JetStreamServer],
      useFactory: (server: JetStreamServer): CustomStrategy => ({ strategy: server }),
    };
    const app = await NestFactory.createMicroservice<AsyncMicroserviceOptions>(App, { ...strategy, ...quiet });
    try {
      await app.listen();
    } catch (error) {
      await app.close();
      throw error;
    }
    return new Service(app);
  }

  get<T>(type: Type<T>): T {
    return this.app.get(type);
  }

  get bindings(): Bindings {
    return this.get(Bindings);
  }

  get deadLetters(): DeadLetters {
    return this.get(DeadLetters);
  }

  health(): ReturnType<LoopstackHealth['ready']> {
    return this.get(LoopstackHealth).ready();
  }

  stop(): Promise<void> {
    return this.app.close();
  }
}

/** A server, services on it, and what tests ask of its streams. */
export class Rig {
  readonly #services = new Set<Service>();

  private constructor(
    readonly server: NatsServer,
    readonly nc: NatsConnection,
    readonly jsm: JetStreamManager,
  ) {}

  static async start(): Promise<Rig> {
    const server = await startNatsServer();
    const nc = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    return new Rig(server, nc, await nc.jetstreamManager());
  }

  /** The application's own stream of events. */
  async stream(name: string, ...subjects: string[]): Promise<void> {
    await this.jsm.streams.add({ name, subjects });
  }

  async service(options: ServiceOptions): Promise<Service> {
    const service = await Service.start(this.server.url, options);
    this.#services.add(service);
    return service;
  }

  async stopService(service: Service): Promise<void> {
    this.#services.delete(service);
    await service.stop();
  }

  /** @returns sequence of the event */
  async emit(subject: string, event: unknown, headers: Readonly<Record<string, string>> = {}): Promise<number> {
    const given = newHeaders();
    for (const [name, value] of Object.entries(headers)) given.set(name, value);
    const body = event instanceof Uint8Array ? event : new TextEncoder().encode(JSON.stringify(event));
    return (await this.nc.jetstream().publish(subject, body, { headers: given })).seq;
  }

  async emitMany(subject: string, events: readonly unknown[]): Promise<number[]> {
    return Promise.all(events.map((event) => this.emit(subject, event)));
  }

  /** Commands of a workflow, in order. */
  commands(workspace = '*', workflow = '*'): Promise<readonly Stored[]> {
    return readStream(this.nc, 'LOOPSTACK_RUNS', `loopstack.run.${workspace}.${workflow}`);
  }

  events(): Promise<ReadonlyMap<string, readonly RunEvent[]>> {
    return readEvents(this.nc, 'LOOPSTACK_EVENTS');
  }

  /** Number of outcomes of each run. */
  async outcomes(): Promise<number[]> {
    return [...(await this.events()).values()].map((list) => list.filter(({ type }) => isOutcome(type)).length);
  }

  /** Commands for one event and workflow, beyond the first. */
  async duplicateCommands(): Promise<number> {
    const seen = new Map<string, number>();
    for (const { subject, header } of await this.commands()) {
      const name = `${subject} ${header(HEADER.EVENT)}`;
      seen.set(name, (seen.get(name) ?? 0) + 1);
    }
    return [...seen.values()].reduce((sum, count) => sum + count - 1, 0);
  }

  async consumer(stream: string, durable: string): Promise<Awaited<ReturnType<JetStreamManager['consumers']['info']>>> {
    return this.jsm.consumers.info(stream, durable);
  }

  /** Waits until the runs stream has forgotten the message ids that it knows now. Only where the deduplication window is short. */
  async messageIdsForgotten(): Promise<void> {
    const probe = async (): Promise<boolean> =>
      (await this.nc.jetstream().publish('loopstack.run.Probe.Probe', '', { msgID: 'probe' })).duplicate;
    await probe();
    await until('message ids are forgotten', async () => !(await probe()));
  }

  async end(): Promise<void> {
    await Promise.all([...this.#services].map((service) => service.stop()));
    await this.nc.close();
    await this.server.stop();
  }
}

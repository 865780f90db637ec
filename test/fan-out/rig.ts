import type { LoopstackOptions } from '@loopstack/core';
import { Bindings, DeadLetters, LoopstackHealth, type NatsOptions } from '@loopstack/nats';
import { HEADER, isOutcome, type RunEvent } from '@loopstack/shared';
import type { INestApplicationContext, Type } from '@nestjs/common';
import { headers as newHeaders, type JetStreamManager, type NatsConnection } from 'nats';
import { appOf, startBeside, startProducer, startWorker } from '../rig/app.js';
import { Harness, using, type Per } from '../rig/harness.js';
import { readEvents, readStream, type Stored } from '../rig/measure.js';
export { until } from '../until.js';

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
    const App = appOf(
      { servers, shutdownGrace: '2s', ...nats },
      { ...(name === undefined ? {} : { service: name }), ...loopstack },
      { providers: [...providers], controllers: [...controllers] },
    );
    const start = worker === 'beside' ? startBeside : worker ? startWorker : startProducer;
    return new Service(await start(App));
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
export class Rig extends Harness {
  nc!: NatsConnection;
  jsm!: JetStreamManager;

  static start(): Promise<Rig> {
    const rig = new Rig();
    return rig.after(rig.#begin());
  }

  /** A rig for the tests of the file or of the `describe` that calls this. */
  static use(per: Per): Rig {
    const rig = new Rig();
    return using(per, rig, () => rig.#begin());
  }

  async #begin(): Promise<void> {
    await this.startServer();
    this.nc = await this.connect();
    this.jsm = await this.nc.jetstreamManager();
  }

  /** The application's own stream of events. */
  async stream(name: string, ...subjects: string[]): Promise<void> {
    await this.jsm.streams.add({ name, subjects });
  }

  service(options: ServiceOptions): Promise<Service> {
    return this.track('users', Service.start(this.url, options), (service) => service.stop());
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
}

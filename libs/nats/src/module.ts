import { LoopstackClient } from '@loopstack/client';
import { Publisher, JetStreamApi, type ServerClock } from '@loopstack/jetstream';
import { DeadLetters, Bindings, catalogueCheck, Replays, schemaCheck } from '@loopstack/operations';
import { retryUntilLeader } from './topology/retry-until-leader.js';
import { RunGateway, Subscriptions, currentCauseHeaders } from '@loopstack/core';
import {
  Inject,
  Logger,
  Module,
  type DynamicModule,
  type FactoryProvider,
  type ModuleMetadata,
  type OnApplicationShutdown,
  type Provider,
} from '@nestjs/common';
import type { NatsConnection } from 'nats';
import { CatalogueWriter } from './topology/catalogue-writer.js';
import { NATS_CONNECTION, openConnection } from './connection.js';
import { DeclaredSchedules } from './topology/declared-schedules.js';
import { EventSubscriptions } from './events/event-subscriptions.js';
import { Alarms } from './health/health.js';
import { LoopstackHealth } from './health/loopstack-health.js';
import { resolveNatsOptions, type NatsOptions, type ResolvedNatsOptions } from './options.js';
import { JetStreamServer } from './server.js';
import { NATS_OPTIONS } from './tokens.js';
import { Topology } from './topology/topology.js';
import { Worker } from './worker/worker.js';

export interface NatsAsyncOptions extends Pick<ModuleMetadata, 'imports'> {
  readonly inject?: FactoryProvider['inject'];
  readonly useFactory: (...args: never[]) => NatsOptions | Promise<NatsOptions>;
}

const PROVIDERS: Provider[] = [
  { provide: NATS_CONNECTION, inject: [NATS_OPTIONS], useFactory: openConnection },
  {
    provide: JetStreamApi,
    inject: [NATS_CONNECTION, NATS_OPTIONS],
    useFactory: (nc: NatsConnection, options: ResolvedNatsOptions) => new JetStreamApi(nc, options.domain),
  },
  {
    provide: Topology,
    inject: [JetStreamApi, NATS_OPTIONS],
    useFactory: async (api: JetStreamApi, options: ResolvedNatsOptions) => {
      const topology = new Topology(api, options);
      try {
        await retryUntilLeader(() => topology.ensureStreams());
      } catch (error) {
        // The boot stops here, and Nest closes nothing that is not made: without this the process would not end.
        if (!options.connection) await api.nc.close();
        throw error;
      }
      return topology;
    },
  },
  {
    provide: LoopstackClient,
    inject: [NATS_CONNECTION, NATS_OPTIONS, Topology],
    useFactory: async (
      nc: NatsConnection,
      { names, publishTimeoutMs, maxInFlight, whileDisconnected, sign, domain, connection }: ResolvedNatsOptions,
    ) => {
      const client = new LoopstackClient(nc, {
        prefix: names.prefix,
        publishTimeout: publishTimeoutMs,
        maxInFlight,
        whileDisconnected,
        failover: connection === undefined,
        context: currentCauseHeaders,
        checkSchema: schemaCheck({ warn: (text) => new Logger('Catalogue').warn(text) }),
        ...(domain === undefined ? {} : { domain }),
        ...(sign ? { sign } : {}),
      });
      await tellOfClock(client.clock);
      return client;
    },
  },
  {
    provide: CatalogueWriter,
    inject: [NATS_CONNECTION, JetStreamApi, NATS_OPTIONS],
    useFactory: (nc: NatsConnection, api: JetStreamApi, options: ResolvedNatsOptions) => {
      const { names, replicas = 1, provision, domain, releaseSilenceMs: silenceMs } = options;
      return new CatalogueWriter(nc, api, names, { replicas, provision, domain, silenceMs });
    },
  },
  { provide: DeclaredSchedules, inject: [LoopstackClient], useFactory: (client: LoopstackClient) => new DeclaredSchedules(client) },
  { provide: RunGateway, useExisting: LoopstackClient },
  { provide: Alarms, useFactory: () => new Alarms((reason) => new Logger('Alarm').error(reason)) },
  {
    provide: Worker,
    inject: [NATS_CONNECTION, JetStreamApi, Topology, NATS_OPTIONS, Publisher, Alarms],
    useFactory: (...args: ConstructorParameters<typeof Worker>) => new Worker(...args),
  },
  {
    provide: Publisher,
    inject: [NATS_CONNECTION, NATS_OPTIONS, Alarms],
    useFactory: (nc: NatsConnection, { publishTimeoutMs, maxInFlight, domain, sign }: ResolvedNatsOptions, alarms: Alarms) =>
      new Publisher(nc, { timeoutMs: publishTimeoutMs, maxInFlight, domain, sign, onStorage: alarms.storage }),
  },
  {
    provide: DeadLetters,
    inject: [JetStreamApi, Publisher, NATS_OPTIONS],
    useFactory: (api: JetStreamApi, publisher: Publisher, { names, sign }: ResolvedNatsOptions) =>
      new DeadLetters(api, publisher, names, sign),
  },
  {
    provide: Replays,
    inject: [NATS_CONNECTION, NATS_OPTIONS, LoopstackClient],
    useFactory: (nc: NatsConnection, { names, domain, replicas, sign }: ResolvedNatsOptions, client: LoopstackClient) =>
      new Replays(nc, {
        prefix: names.prefix,
        payloads: catalogueCheck(client),
        ...(domain === undefined ? {} : { domain }),
        ...(replicas === undefined ? {} : { replicas }),
        ...(sign ? { sign } : {}),
      }),
  },
  {
    provide: Bindings,
    inject: [JetStreamApi, NATS_OPTIONS],
    useFactory: (api: JetStreamApi, { names }: ResolvedNatsOptions) => new Bindings(api, names),
  },
  {
    provide: EventSubscriptions,
    // The topology: reactions consume a stream that it makes.
    inject: [NATS_CONNECTION, JetStreamApi, NATS_OPTIONS, Publisher, Alarms, Subscriptions, Bindings, Topology],
    useFactory: (...args: ConstructorParameters<typeof EventSubscriptions>) => new EventSubscriptions(...args),
  },
  JetStreamServer,
  LoopstackHealth,
];

/** Workers judge deadlines, and stamp what they record, by the server's clock. */
async function tellOfClock(clock: ServerClock): Promise<void> {
  const logger = new Logger('Clock');
  clock.tell = (finding) => logger.warn(finding);
  await clock.settled();
  if (clock.skew === undefined) logger.warn(clock.finding);
}

/** JetStream as the broker of `LoopstackModule`. Global: import it once. One connection a process. */
@Module({})
export class NatsModule implements OnApplicationShutdown {
  constructor(
    @Inject(NATS_CONNECTION) private readonly nc: NatsConnection,
    @Inject(NATS_OPTIONS) private readonly options: ResolvedNatsOptions,
    private readonly client: LoopstackClient,
    private readonly publisher: Publisher,
  ) {}

  /** @throws LoopstackError OPTION_INVALID, NAME_INVALID; at boot TOPOLOGY_CONFLICT, TOPOLOGY_MISSING */
  static forRoot(options: NatsOptions = {}): DynamicModule {
    return NatsModule.define({ provide: NATS_OPTIONS, useValue: resolveNatsOptions(options) });
  }

  static forRootAsync(options: NatsAsyncOptions): DynamicModule {
    const useFactory = async (...args: never[]) => resolveNatsOptions(await options.useFactory(...args));
    return NatsModule.define({ provide: NATS_OPTIONS, inject: options.inject ?? [], useFactory }, options.imports ?? []);
  }

  private static define(options: Provider, imports: NonNullable<ModuleMetadata['imports']> = []): DynamicModule {
    return {
      module: NatsModule,
      global: true,
      imports,
      providers: [options, ...PROVIDERS],
      exports: [
        NATS_CONNECTION,
        NATS_OPTIONS,
        LoopstackClient,
        RunGateway,
        DeadLetters,
        Replays,
        Bindings,
        JetStreamServer,
        LoopstackHealth,
      ],
    };
  }

  /** Last of all: workers and producers have finished by then. A connection that the application gave stays open. */
  async onApplicationShutdown(): Promise<void> {
    await this.client.close();
    await this.publisher.close();
    if (!this.options.connection && !this.nc.isClosed()) await this.nc.close();
  }
}

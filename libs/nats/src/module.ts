import { LoopstackClient } from '@loopstack/client';
import { Publisher, JetStreamApi, withRemedy, type ServerClock, type NatsConnectionLike } from '@loopstack/jetstream';
import { DeadLetters, Deployment, Bindings, catalogueCheck, Replays, schemaCheck } from '@loopstack/operations';
import { retryUntilLeader } from './topology/retry-until-leader.js';
import { RunGateway, RunService, Subscriptions, Workers, currentCauseHeaders } from '@loopstack/core';
import { LoopstackError } from '@loopstack/shared';
import {
  Logger,
  Module,
  type DynamicModule,
  type FactoryProvider,
  type ModuleMetadata,
  type OnApplicationShutdown,
  type Provider,
} from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { CatalogueWriter } from './topology/catalogue-writer.js';
import { openConnection } from './connection.js';
import { ConsumerGuard } from './consume/consumer-guard.js';
import { ConsumerRuntime } from './consume/consumer-runtime.js';
import { DrainModule } from './drain.js';
import { DeclaredSchedules } from './topology/declared-schedules.js';
import { EventSubscriptions } from './events/event-subscriptions.js';
import { Alarms } from './health/health.js';
import { LoopstackHealth } from './health/loopstack-health.js';
import { resolveNatsOptions, type NatsOptions, type ResolvedNatsOptions } from './options.js';
import { JetStreamServer } from './server.js';
import { NATS_CONNECTION, NATS_OPTIONS, natsToken } from './tokens.js';
import { Topology } from './topology/topology.js';
import { Worker } from './worker/worker.js';

export interface NatsAsyncOptions extends Pick<ModuleMetadata, 'imports'> {
  /** As `name` of the options, which the factory may leave out. */
  readonly name?: string;
  readonly inject?: FactoryProvider['inject'];
  readonly useFactory: (...args: never[]) => NatsOptions | Promise<NatsOptions>;
}

type ServerInjections = readonly [ConsumerRuntime, Worker, Workers, EventSubscriptions, CatalogueWriter, DeclaredSchedules];

const CLOSER = Symbol.for('loopstack:closer');
const ONE_OF_EACH_NAME = Symbol.for('loopstack:one-of-each-name');

/** Last of all: workers and producers have finished by then. A connection that the application gave stays open. */
class Closer implements OnApplicationShutdown {
  readonly #nc: NatsConnectionLike;
  readonly #options: ResolvedNatsOptions;
  readonly #client: LoopstackClient;
  readonly #publisher: Publisher;
  constructor(nc: NatsConnectionLike, options: ResolvedNatsOptions, client: LoopstackClient, publisher: Publisher) {
    this.#nc = nc;
    this.#options = options;
    this.#client = client;
    this.#publisher = publisher;
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#client.close();
    await this.#publisher.close();
    if (!this.#options.connection && !this.#nc.isClosed()) await this.#nc.close();
  }
}

/** What one connection provides; a token stands for itself where the connection has no name. */
const PROVIDERS: readonly FactoryProvider[] = [
  // Nothing is opened by an application that does not start.
  { provide: NATS_CONNECTION, inject: [NATS_OPTIONS, ONE_OF_EACH_NAME], useFactory: openConnection },
  {
    provide: JetStreamApi,
    inject: [NATS_CONNECTION, NATS_OPTIONS],
    useFactory: (nc: NatsConnectionLike, options: ResolvedNatsOptions) => new JetStreamApi(nc, options.domain),
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
        const told = withRemedy(api.nc, error);
        if (!options.connection) await api.nc.close();
        throw told;
      }
      return topology;
    },
  },
  {
    provide: LoopstackClient,
    inject: [NATS_CONNECTION, NATS_OPTIONS, Topology],
    useFactory: async (
      nc: NatsConnectionLike,
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
    inject: [JetStreamApi, NATS_OPTIONS],
    useFactory: (api: JetStreamApi, options: ResolvedNatsOptions) => {
      const { names, replicas = 1, provision, releaseSilenceMs: silenceMs } = options;
      return new CatalogueWriter(api, names, { replicas, provision, silenceMs });
    },
  },
  { provide: DeclaredSchedules, inject: [LoopstackClient], useFactory: (client: LoopstackClient) => new DeclaredSchedules(client) },
  {
    provide: RunGateway,
    inject: [LoopstackClient, NATS_OPTIONS],
    useFactory: (client: LoopstackClient, { roles }: ResolvedNatsOptions) => (roles.has('producer') ? client : undefined),
  },
  { provide: Alarms, useFactory: () => new Alarms((reason) => new Logger('Alarm').error(reason)) },
  {
    provide: ConsumerRuntime,
    inject: [JetStreamApi, NATS_OPTIONS, Alarms],
    useFactory: (...args: ConstructorParameters<typeof ConsumerRuntime>) => new ConsumerRuntime(...args),
  },
  {
    provide: ConsumerGuard,
    inject: [ConsumerRuntime, Topology],
    useFactory: (...args: ConstructorParameters<typeof ConsumerGuard>) => new ConsumerGuard(...args),
  },
  {
    provide: Worker,
    inject: [ConsumerRuntime, ConsumerGuard, Topology, Publisher],
    useFactory: (...args: ConstructorParameters<typeof Worker>) => new Worker(...args),
  },
  {
    provide: Publisher,
    inject: [NATS_CONNECTION, NATS_OPTIONS, Alarms],
    useFactory: (nc: NatsConnectionLike, { publishTimeoutMs, maxInFlight, domain, sign }: ResolvedNatsOptions, alarms: Alarms) =>
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
    useFactory: (nc: NatsConnectionLike, { names, domain, replicas, sign }: ResolvedNatsOptions, client: LoopstackClient) =>
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
    provide: Deployment,
    inject: [JetStreamApi, NATS_OPTIONS],
    useFactory: (api: JetStreamApi, { names }: ResolvedNatsOptions) => new Deployment(api, names),
  },
  {
    provide: EventSubscriptions,
    // The guard waits for the topology: reactions consume a stream that it makes.
    inject: [ConsumerRuntime, ConsumerGuard, Publisher, Subscriptions, Bindings],
    useFactory: (...args: ConstructorParameters<typeof EventSubscriptions>) => new EventSubscriptions(...args),
  },
  {
    provide: JetStreamServer,
    inject: [ConsumerRuntime, Worker, Workers, EventSubscriptions, CatalogueWriter, DeclaredSchedules],
    useFactory: (...[runtime, worker, workers, subscriptions, catalogue, schedules]: ServerInjections) =>
      new JetStreamServer({ runtime, worker, workers, subscriptions, catalogue, schedules }),
  },
  {
    provide: LoopstackHealth,
    inject: [ConsumerRuntime, Worker, EventSubscriptions],
    useFactory: (...args: ConstructorParameters<typeof LoopstackHealth>) => new LoopstackHealth(...args),
  },
  {
    provide: CLOSER,
    inject: [NATS_CONNECTION, NATS_OPTIONS, LoopstackClient, Publisher],
    useFactory: (...args: ConstructorParameters<typeof Closer>) => new Closer(...args),
  },
];

/** Of the application and not of a connection. */
const SHARED: readonly unknown[] = [Workers, Subscriptions];

const EXPORTS = [
  NATS_CONNECTION,
  NATS_OPTIONS,
  LoopstackClient,
  RunGateway,
  DeadLetters,
  Replays,
  Bindings,
  Deployment,
  JetStreamServer,
  LoopstackHealth,
];

function providersOf(name: string | undefined): Provider[] {
  const own = (token: unknown) => (SHARED.includes(token) ? (token as never) : natsToken(token as never, name));
  const providers: Provider[] = PROVIDERS.map(({ provide, inject = [], useFactory }) => {
    return { provide: own(provide), inject: inject.map(own), useFactory: useFactory as (...args: unknown[]) => unknown };
  });
  if (name === undefined) return providers;
  const useFactory = (service: RunService, gateway: RunGateway | undefined): RunService => service.over(gateway);
  return [...providers, { provide: natsToken(RunService, name), inject: [RunService, own(RunGateway)], useFactory }];
}

/** Refuses a second connection of the same name, whose consumers nothing would start. */
function oneOfEachName(name: string | undefined): Provider {
  const useFactory = (modules: ModulesContainer): true => {
    const same = [...modules.values()].filter((module) => module.metatype === NatsModule && module.providers.has(natsToken(CLOSER, name)));
    if (same.length === 1) return true;
    const which = name === undefined ? 'without a name' : `with the name ${name}`;
    throw new LoopstackError('BOOT_FAILED', {
      problems: `NatsModule.forRoot() is imported ${same.length} times ${which}: import it once, or give each its own \`name\``,
    });
  };
  return { provide: natsToken(ONE_OF_EACH_NAME, name), inject: [ModulesContainer], useFactory };
}

/** Workers judge deadlines, and stamp what they record, by the server's clock. */
async function tellOfClock(clock: ServerClock): Promise<void> {
  const logger = new Logger('Clock');
  clock.tell = (finding) => logger.warn(finding);
  await clock.settled();
  if (clock.skew === undefined) logger.warn(clock.finding);
}

function define(name: string | undefined, options: Provider, imports: NonNullable<ModuleMetadata['imports']> = []): DynamicModule {
  const named = name === undefined ? [] : [natsToken(RunService, name)];
  return {
    module: NatsModule,
    global: true,
    imports: [...imports, ...DrainModule.of(name)],
    providers: [options, ...providersOf(name), oneOfEachName(name)],
    exports: [...EXPORTS.map((token) => natsToken(token as never, name)), ...named],
  };
}

/**
 * JetStream as the broker of `LoopstackModule`. Global: import it once, or once for each connection with a `name` of its own.
 */
@Module({})
export class NatsModule {
  /** @throws LoopstackError OPTION_INVALID, NAME_INVALID; at boot BOOT_FAILED, TOPOLOGY_CONFLICT, TOPOLOGY_MISSING */
  static forRoot(options: NatsOptions = {}): DynamicModule {
    const { name } = options;
    return define(name, { provide: natsToken(NATS_OPTIONS, name), useValue: resolveNatsOptions(options) });
  }

  /** The name stands beside the factory: it names tokens before the factory is called. */
  static forRootAsync({ name, inject = [], imports, useFactory: factory }: NatsAsyncOptions): DynamicModule {
    const useFactory = async (...args: never[]): Promise<ResolvedNatsOptions> =>
      resolveNatsOptions({ ...(await factory(...args)), ...(name === undefined ? {} : { name }) });
    return define(name, { provide: natsToken(NATS_OPTIONS, name), inject, useFactory }, imports);
  }
}

import { LoopstackModule, RunService, Workflow, Workspace, type RunContext } from '@loopstack/core';
import { InjectRunService, JetStreamServer, NatsModule, natsToken, type NatsOptions } from '@loopstack/nats';
import type { NatsServer } from '@loopstack/nats-server';
import { ConsoleLogger, Injectable, Module, type DynamicModule, type INestApplicationContext, type Provider } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { connect, type NatsConnection } from 'nats';
import { harness } from './rig/harness.js';
import { unsettled } from './unsettled.js';
import { until } from './until.js';

const calls: string[] = [];
let release: (() => void) | undefined;

@Workflow()
class Ship {
  run(_: unknown, ctx: RunContext): string {
    calls.push(`Ship ${ctx.workspace}`);
    return `shipped for ${ctx.userId}`;
  }
}

@Workflow()
class Slow {
  async run(): Promise<void> {
    calls.push('Slow begins');
    await new Promise<void>((resolve) => (release = resolve));
    calls.push('Slow ends');
  }
}

@Workspace({ workflows: [Ship, Slow] })
class Orders {}

@Workspace({ workflows: [Ship] })
class Audit {}

@Injectable()
class Shop {
  constructor(
    readonly runs: RunService,
    @InjectRunService('audit') readonly audit: RunService,
  ) {}
}

@Injectable()
class Database {
  onModuleDestroy(): void {
    calls.push('database disconnected');
  }
}

class Lines extends ConsoleLogger {
  readonly lines: string[] = [];
  override warn(message: unknown): void {
    this.lines.push(String(message));
  }
  override log(): void {}
  override error(message: unknown): void {
    this.lines.push(String(message));
  }
}

describe('connections of one application', () => {
  const rig = harness();
  let other: NatsServer;
  let nc: NatsConnection;
  const opened: INestApplicationContext[] = [];

  beforeAll(async () => {
    other = await rig.startServer();
    await rig.startServer();
    nc = await rig.connect();
  });
  afterEach(async () => {
    release?.();
    await Promise.all(opened.splice(0).map((app) => app.close()));
    calls.length = 0;
  });

  function application(connections: readonly NatsOptions[], providers: readonly Provider[] = []): DynamicModule {
    @Module({})
    class App {}
    return {
      module: App,
      imports: [LoopstackModule.forRoot(), ...connections.map((options) => NatsModule.forRoot(options))],
      providers: [Ship, Slow, Orders, Audit, ...providers],
    };
  }

  /** Listens with the strategies that the names stand for. */
  async function start(
    module: DynamicModule,
    names: readonly (string | undefined)[] = [undefined],
    logger: ConsoleLogger = new Lines(),
  ): Promise<INestApplicationContext> {
    const app = await NestFactory.create(module, { logger, abortOnError: false });
    opened.push(app);
    for (const name of names) app.connectMicroservice({ strategy: app.get<JetStreamServer>(natsToken(JetStreamServer, name)) });
    await app.startAllMicroservices();
    await app.init();
    return app;
  }

  it('serve their workspaces and start runs, each on its own server', async () => {
    const connections = [
      { servers: rig.url, prefix: 'both', workspaces: ['Orders'] },
      { name: 'audit', servers: other.url, prefix: 'both', workspaces: ['Audit'] },
    ];
    const app = await start(application(connections, [Shop]), [undefined, 'audit']);
    const shop = app.get(Shop);
    expect(await shop.runs.runAndWait(Ship, Orders, {}, 'u1')).toBe('shipped for u1');
    expect(await shop.audit.runAndWait(Ship, Audit, {}, 'u2')).toBe('shipped for u2');
    expect(calls).toEqual(['Ship Orders', 'Ship Audit']);
    const there = await connect({ servers: other.url });
    const durables = async (on: NatsConnection): Promise<string[]> =>
      (await (await on.jetstreamManager()).consumers.list('BOTH_RUNS').next()).map(({ name }) => name).toSorted();
    expect([await durables(nc), await durables(there)]).toEqual([['Orders~Ship', 'Orders~Slow'], ['Audit~Ship']]);
    await there.close();
  });

  it('need a name each', async () => {
    const twice = [
      { servers: rig.url, prefix: 'twice' },
      { servers: other.url, prefix: 'twice' },
    ];
    await expect(start(application(twice))).rejects.toMatchObject({
      code: 'BOOT_FAILED',
      message: 'NatsModule.forRoot() is imported 2 times without a name: import it once, or give each its own `name`',
    });
  });

  it('refuse a workspace that the process does not register', async () => {
    await expect(start(application([{ servers: rig.url, prefix: 'typo', workspaces: ['Oders'] }]))).rejects.toMatchObject({
      code: 'BOOT_FAILED',
      message: expect.stringContaining('Oders'),
    });
  });

  it('consume from start() to stop() where autoStart is off', async () => {
    const app = await start(application([{ servers: rig.url, prefix: 'hand', autoStart: false }]));
    const worker = app.get(JetStreamServer);
    const runs = app.get(RunService);
    await runs.run(Ship, Orders, {}, 'u1');
    expect(calls).toEqual([]);
    await worker.start();
    await until('the run has started', () => calls.length === 1);
    await worker.stop();
    await runs.run(Ship, Orders, {}, 'u1');
    const left = async (): Promise<number> => unsettled(await nc.jetstreamManager(), 'HAND_RUNS', 'Orders~Ship');
    await until('the second run waits', async () => (await left()) === 1);
    expect(calls).toHaveLength(1);
    await expect(worker.start()).rejects.toMatchObject({ code: 'BOOT_FAILED' });
  });

  it('consume nothing without the role worker', async () => {
    const app = await start(application([{ servers: rig.url, prefix: 'web', roles: ['producer'] }]));
    await app.get(RunService).run(Ship, Orders, {}, 'u1');
    expect(await (await nc.jetstreamManager()).consumers.list('WEB_RUNS').next()).toEqual([]);
    await expect(app.get(JetStreamServer).start()).rejects.toMatchObject({ code: 'BOOT_FAILED' });
  });

  it('start nothing without the role producer', async () => {
    const app = await start(application([{ servers: rig.url, prefix: 'back', roles: ['worker'] }]));
    await expect(app.get(RunService).run(Ship, Orders, {}, 'u1')).rejects.toMatchObject({ code: 'BROKER_MISSING' });
  });

  it('warn once of workflows that nothing consumes', async () => {
    const logger = new Lines();
    await start(application([{ servers: rig.url, prefix: 'idle' }]), [], logger);
    await until('the warning', () => logger.lines.some((line) => line.startsWith('Nothing consumes the 3 workflows')));
  });

  it('are drained before any onModuleDestroy of the application', async () => {
    const app = await start(application([{ servers: rig.url, prefix: 'drain' }], [Database]));
    await app.get(RunService).run(Slow, Orders, {}, 'u1');
    await until('the run has started', () => calls.length === 1);
    const closed = app.close();
    await until('the worker has stopped pulling', async () => {
      const { num_waiting } = await (await nc.jetstreamManager()).consumers.info('DRAIN_RUNS', 'Orders~Slow');
      return num_waiting === 0;
    });
    expect(calls).toEqual(['Slow begins']);
    release?.();
    await closed;
    expect(calls).toEqual(['Slow begins', 'Slow ends', 'database disconnected']);
  });
});

import { LoopstackModule, RunService, Workflow, Workspace, type LoopstackOptions, type RunContext } from '@loopstack/core';
import { JetStreamServer, LoopstackHealth, NATS_CONNECTION, NatsModule, type NatsConnection, type NatsOptions } from '@loopstack/nats';
import { Module, type CallHandler, type ExecutionContext, type INestApplication, type NestInterceptor } from '@nestjs/common';
import { APP_INTERCEPTOR, NestFactory } from '@nestjs/core';
import { map, type Observable } from 'rxjs';
import { harness } from './rig/harness.js';

/** An interceptor of the whole application. */
class Marked implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(map((result: unknown) => `${context.getType()}: ${String(result)}`));
  }
}

@Workflow({ record: 'full' })
class Greet {
  async run(_payload: unknown, ctx: RunContext): Promise<string> {
    await ctx.progress({ half: true });
    return `hello ${ctx.userId}`;
  }
}

@Workspace({ workflows: [Greet] })
class Greetings {}

describe('options of the modules', () => {
  const rig = harness();
  let app: INestApplication | undefined;

  beforeAll(async () => {
    await rig.startServer();
  });

  afterEach(async () => {
    await app?.close();
    app = undefined;
  });

  async function start(loopstack: LoopstackOptions, workflows = [Greet, Greetings]): Promise<RunService> {
    class Settings {
      readonly nats: NatsOptions = { servers: rig.url };
    }
    @Module({ providers: [Settings], exports: [Settings] })
    class SettingsModule {}
    @Module({
      imports: [
        LoopstackModule.forRootAsync({ useFactory: () => Promise.resolve(loopstack) }),
        NatsModule.forRootAsync({ imports: [SettingsModule], inject: [Settings], useFactory: ({ nats }: Settings) => nats }),
      ],
      providers: [...workflows, { provide: APP_INTERCEPTOR, useClass: Marked }],
    })
    class App {}
    app = await NestFactory.create(App, { logger: ['fatal'], abortOnError: false });
    if (workflows.length > 0) app.connectMicroservice({ strategy: app.get(JetStreamServer) });
    await app.startAllMicroservices();
    await app.init();
    return app.get(RunService);
  }

  it.each([
    [false, 'hello u1'],
    [true, 'loopstack: hello u1'],
  ])('globalEnhancers: %s decides about global interceptors', async (globalEnhancers, result) => {
    const runs = await start({ globalEnhancers });
    expect(await runs.runAndWait(Greet, Greetings, {}, 'u1')).toBe(result);
  });

  it('a workflow that records everything records its progress', async () => {
    const run = await (await start({})).run(Greet, Greetings, {}, 'u1');
    const events: [string, unknown][] = [];
    for await (const { type, progress } of run.events()) events.push([type, progress]);
    expect(events).toEqual([
      ['started', undefined],
      ['progress', { half: true }],
      ['succeeded', undefined],
    ]);
  });

  it('a workspace that is not registered is refused beside others', async () => {
    const runs = await start({});
    await expect(runs.run('Other', 'Elsewhere', {}, 'u1')).rejects.toMatchObject({ code: 'WORKSPACE_UNKNOWN' });
  });

  it('a producer without workspaces asks the catalogue', async () => {
    await start({});
    await app?.close();
    const runs = await start({}, []);
    expect((await runs.run('Greet', 'Greetings', {}, 'u1')).duplicate).toBe(false);
    await expect(runs.run('Other', 'Elsewhere', {}, 'u1')).rejects.toMatchObject({ code: 'WORKSPACE_UNKNOWN' });
  });

  it('unknownWorkspaces: publish publishes without asking', async () => {
    const runs = await start({ unknownWorkspaces: 'publish' });
    expect((await runs.run('Other', 'Elsewhere', {}, 'u1')).stream).toBe('LOOPSTACK_RUNS');
  });

  it('the connection can be injected, and health follows it', async () => {
    await start({});
    const nc = app?.get<NatsConnection>(NATS_CONNECTION);
    const health = app?.get(LoopstackHealth);
    expect(nc?.getServer()).toBe(rig.url.replace('nats://', ''));
    expect(await health?.ready()).toMatchObject({ loopstack: { status: 'up', workflows: 1 } });
    await nc?.close();
    expect(health?.live()).toEqual({ loopstack: { status: 'down', reason: 'the connection is closed' } });
    expect(await health?.ready()).toMatchObject({ loopstack: { status: 'down' } });
  });
});

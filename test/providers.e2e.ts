import { LoopstackModule, OnEvent, OnRun, RunService, Workflow, Workspace, type RunNotice } from '@loopstack/core';
import { JetStreamServer, NatsModule } from '@loopstack/nats';
import { Injectable, Module, UseGuards, type CanActivate, type DynamicModule, type INestApplication, type Provider } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type NatsConnection } from 'nats';
import { harness } from './rig/harness.js';
import { until } from './until.js';

@Workflow()
class Ship {
  by = 'class';

  static madeBy(by: string): Ship {
    return Object.assign(new Ship(), { by });
  }

  run(): string {
    return this.by;
  }
}

@Workspace({ workflows: [Ship] })
class Orders {}

class Express extends Ship {
  override run(): string {
    return `express ${this.by}`;
  }
}

@OnEvent('shop.sold', { userId: 'u1' })
@Workflow({ name: 'Pack' })
class Pack {
  run(): string {
    return 'packed';
  }
}

@Workspace({ workflows: [Pack] })
class Packing {}

@Injectable()
class Listener {
  readonly heard: string[] = [];

  @OnRun('Ship', 'succeeded', { delivery: 'live' })
  shipped(run: RunNotice<unknown, 'succeeded'>): void {
    this.heard.push(String(run.result));
  }
}

@Injectable()
class DerivedListener extends Listener {}

@Injectable()
class Nobody implements CanActivate {
  canActivate(): boolean {
    return false;
  }
}

const rig = harness();
let nc: NatsConnection;
let app: INestApplication | undefined;
let prefix = 0;

beforeAll(async () => {
  await rig.startServer();
  nc = await rig.connect();
});
afterEach(async () => {
  await app?.close();
  app = undefined;
});

@Module({})
class Shop {
  static with(providers: Provider[]): DynamicModule {
    return {
      module: Shop,
      imports: [LoopstackModule.forRoot(), NatsModule.forRoot({ servers: rig.url, prefix: `p${++prefix}` })],
      providers,
    };
  }
}

async function start(providers: Provider[]): Promise<INestApplication> {
  app = await NestFactory.create(Shop.with(providers), { logger: ['fatal'], abortOnError: false });
  app.connectMicroservice({ strategy: app.get(JetStreamServer) });
  await app.startAllMicroservices();
  await app.init();
  return app;
}
const ran = async (within: INestApplication): Promise<unknown> =>
  (await within.get(RunService).run('Ship', 'Orders', {}, 'u1')).result({ timeout: '20s' });

describe('a workflow', () => {
  it.each<[string, Provider[], string]>([
    ['its class', [Ship], 'class'],
    ['a factory', [{ provide: Ship, useFactory: () => Ship.madeBy('factory') }], 'factory'],
    ['a factory that is asynchronous', [{ provide: Ship, useFactory: async () => Promise.resolve(Ship.madeBy('later')) }], 'later'],
    ['a value', [{ provide: Ship, useValue: Ship.madeBy('value') }], 'value'],
    ['a value that is no instance of it', [{ provide: Ship, useValue: { run: () => 'mock' } }], 'mock'],
    ['another class', [{ provide: Ship, useClass: Express }], 'express class'],
    [
      'an alias',
      [
        { provide: 'ship', useFactory: () => Ship.madeBy('existing') },
        { provide: Ship, useExisting: 'ship' },
      ],
      'existing',
    ],
    ['a factory under a name', [{ provide: 'ship', useFactory: () => Ship.madeBy('named') }], 'named'],
    ['a value under a name', [{ provide: Symbol('ship'), useValue: Ship.madeBy('symbol') }], 'symbol'],
    ['its class under a name', [{ provide: 'ship', useClass: Ship }], 'class'],
    ['its class and an alias of it', [Ship, { provide: 'ship', useExisting: Ship }], 'class'],
  ])('that is provided by %s runs', async (_, providers, result) => {
    expect(await ran(await start([...providers, Orders]))).toBe(result);
  });

  it('is found behind a workspace that is a value, too', async () => {
    expect(await ran(await start([Ship, { provide: Orders, useValue: new Orders() }]))).toBe('class');
  });

  it('that a factory makes is started by its events', async () => {
    await (await nc.jetstreamManager()).streams.add({ name: 'SHOP', subjects: ['shop.>'] });
    const within = await start([{ provide: 'pack', useFactory: () => new Pack() }, Packing]);
    await nc.jetstream().publish('shop.sold', '{}');
    const [run] = await until('a run of the event', async () => {
      const runs = await within.get(RunService).list({ workflow: 'Pack' });
      return runs.length > 0 ? runs : undefined;
    });
    expect(run).toMatchObject({ workflow: 'Pack', workspace: 'Packing', userId: 'u1' });
  });

  it('whose guard Nest does not make stops the boot instead of running unguarded', async () => {
    @UseGuards(Nobody)
    @Workflow({ name: 'Ship' })
    class Guarded {
      run(): string {
        return 'unguarded';
      }
    }
    @Workspace({ name: 'Orders', workflows: [Guarded] })
    class Space {}
    const boot = start([{ provide: Guarded, useFactory: () => new Guarded() }, Space]);
    await expect(boot).rejects.toMatchObject({ code: 'BOOT_FAILED', message: expect.stringContaining('does not make its Nobody') });
  });

  it('whose guard is of the class behind useClass is guarded', async () => {
    @UseGuards(Nobody)
    @Workflow({ name: 'Ship', retry: { attempts: 1 } })
    class Guarded {
      run(): string {
        return 'unguarded';
      }
    }
    @Workspace({ name: 'Orders', workflows: [Guarded] })
    class Space {}
    const within = await start([{ provide: 'ship', useClass: Guarded }, Space]);
    await expect(ran(within)).rejects.toMatchObject({ code: 'RUN_FAILED', message: expect.stringContaining('Forbidden') });
  });
});

describe('a method for the ends of runs', () => {
  it.each<[string, Provider[], unknown]>([
    ['a factory', [{ provide: Listener, useFactory: () => new Listener() }], Listener],
    ['a value', [{ provide: 'listener', useValue: new Listener() }], 'listener'],
    ['another class', [{ provide: Listener, useClass: DerivedListener }], Listener],
    ['its class and an alias', [Listener, { provide: 'listener', useExisting: Listener }], 'listener'],
  ])('is called once where its provider is made by %s', async (_, providers, token) => {
    const within = await start([Ship, Orders, ...providers]);
    await ran(within);
    const { heard } = within.get<Listener>(token as string);
    await until('it has heard', () => heard.length > 0);
    await ran(within);
    await until('it has heard again', () => heard.length > 1);
    expect(heard).toEqual(['class', 'class']);
  });

  it('that a stand-in does not have is not called', async () => {
    expect(await ran(await start([Ship, Orders, { provide: Listener, useValue: {} }]))).toBe('class');
  });
});

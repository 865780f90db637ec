import { LoopstackModule, RunService, Workflow, Workspace, type RunContext } from '@loopstack/core';
import { JetStreamServer, NatsModule } from '@loopstack/nats';
import {
  Body,
  Catch,
  Controller,
  ForbiddenException,
  Injectable,
  Module,
  Post,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
  type CanActivate,
  type CallHandler,
  type ExceptionFilter,
  type ExecutionContext,
  type INestApplication,
  type NestInterceptor,
  type PipeTransform,
} from '@nestjs/common';
import { APP_GUARD, NestFactory, Reflector } from '@nestjs/core';
import { IsInt } from 'class-validator';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { map, type Observable } from 'rxjs';
import { startApp } from './rig/app.js';
import { harness } from './rig/harness.js';

class Amount {
  @IsInt() amount!: number;
}

@Injectable()
class TypedService {
  readonly label = 'injected';
}

@Injectable()
class OnlyBob implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly service: TypedService,
  ) {}

  canActivate(context: ExecutionContext): boolean {
    const run = context.getArgByIndex<RunContext>(1);
    const type: string = context.getType();
    return (
      type === 'loopstack' && this.service.label === 'injected' && this.reflector.get<string>('who', context.getHandler()) === run.userId
    );
  }
}

const Who =
  (name: string): MethodDecorator =>
  (_target, _key, descriptor) => {
    Reflect.defineMetadata('who', name, descriptor.value as object);
  };

@Injectable()
class Doubled implements PipeTransform<Amount, Amount> {
  transform(value: Amount): Amount {
    return Object.assign(new Amount(), { amount: value.amount * 2 });
  }
}

@Injectable()
class Wrapped implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(map((result: unknown) => ({ wrapped: result })));
  }
}

@Catch(RangeError)
class RangeFilter implements ExceptionFilter<RangeError> {
  catch(error: RangeError): unknown {
    return { filtered: error.message };
  }
}

@Workflow({ payload: Amount, retry: { attempts: 1 } })
@UseInterceptors(Wrapped)
@UseFilters(RangeFilter)
class Enhanced {
  constructor(private readonly service: TypedService) {}

  @Who('bob')
  @UseGuards(OnlyBob)
  @UsePipes(Doubled)
  run({ amount }: Amount, _context: RunContext): { amount: number; label: string } {
    if (amount > 100) throw new RangeError('too much');
    return { amount, label: this.service.label };
  }
}

@Workflow({ payload: Amount })
class Plain {
  run({ amount }: Amount): number {
    return amount + 1;
  }
}

@Workspace({ workflows: [Enhanced, Plain] })
class Space {}

/** A guard as most applications have: it knows nothing but HTTP. */
@Injectable()
class HttpOnlyGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<{ headers?: Record<string, string> }>();
    return request.headers?.['x-open'] === 'yes';
  }
}

@Controller()
class AppController {
  constructor(private readonly runService: RunService) {}

  @Post('run')
  async start(@Body() body: { workflow: string; workspace: string; payload: unknown; userId: string }): Promise<unknown> {
    const run = await this.runService.run(body.workflow, body.workspace, body.payload, body.userId);
    return { id: run.id, sequence: run.sequence, duplicate: run.duplicate };
  }
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes that are in use after a collection. */
function liveHeap(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

describe('in a Nest application', () => {
  const rig = harness();

  beforeAll(async () => {
    await rig.startServer();
  });

  describe('with HTTP beside the worker', () => {
    let app: INestApplication;
    let url: string;

    beforeAll(async () => {
      @Module({
        imports: [
          LoopstackModule.forRootAsync({ useFactory: () => ({}) }),
          NatsModule.forRootAsync({ useFactory: () => ({ servers: rig.url }) }),
        ],
        controllers: [AppController],
        providers: [TypedService, Enhanced, Plain, Space, { provide: APP_GUARD, useClass: HttpOnlyGuard }],
      })
      class App {}
      app = await NestFactory.create(App, { logger: ['fatal'], abortOnError: false });
      app.connectMicroservice({ strategy: app.get(JetStreamServer) });
      await app.startAllMicroservices();
      await app.listen(0, '127.0.0.1');
      url = await app.getUrl();
    });

    afterAll(() => app?.close());

    const post = async (body: object): Promise<{ status: number; body: Record<string, unknown> }> => {
      const response = await fetch(`${url}/run`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-open': 'yes' },
        body: JSON.stringify(body),
      });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    };
    const good = { workflow: 'Plain', workspace: 'Space', payload: { amount: 1 }, userId: 'u' };

    it('a run that is accepted is answered with where it is stored', async () => {
      const { status, body } = await post(good);
      expect(status).toBe(201);
      expect(body).toMatchObject({ id: expect.any(String), sequence: expect.any(Number), duplicate: false });
    });

    it.each([
      ['an unknown workspace', { workspace: 'Nowhere' }, 404, { code: 'WORKSPACE_UNKNOWN' }],
      ['a workflow that the workspace does not have', { workflow: 'Nothing' }, 404, { code: 'WORKFLOW_UNKNOWN' }],
      [
        'a payload that its class refuses',
        { payload: { amount: 'x' } },
        400,
        { code: 'PAYLOAD_INVALID', errors: [{ path: 'amount', rule: 'isInt', received: 'string' }] },
      ],
      ['no user', { userId: '' }, 400, { code: 'USER_MISSING' }],
      ['a name that is none', { workspace: 'a.b' }, 400, { code: 'NAME_INVALID' }],
    ])('%s is refused over HTTP before anything is published', async (_, change, status, expected) => {
      const answer = await post({ ...good, ...change });
      expect(answer.status).toBe(status);
      expect(answer.body).toMatchObject({ statusCode: status, message: expect.any(String), fix: expect.any(String), ...expected });
      if ('errors' in expected) expect(answer.body['errors']).toEqual([expect.objectContaining(expected.errors[0])]);
      expect(JSON.stringify(answer.body)).not.toMatch(/\bat .*\.js:/);
    });

    it("a workflow is not guarded by the application's global guards, which know HTTP only", async () => {
      const run = await app.get(RunService).run(Plain, Space, { amount: 1 }, 'u');
      expect(await run.result()).toBe(2);
    });

    it('guards, pipes and interceptors on a workflow work as on a controller, with injection and metadata', async () => {
      const run = await app.get(RunService).run(Enhanced, Space, { amount: 21 }, 'bob');
      expect(await run.result()).toEqual({ wrapped: { amount: 42, label: 'injected' } });
    });

    it('a guard that refuses fails the run', async () => {
      const run = await app.get(RunService).run(Enhanced, Space, { amount: 1 }, 'eve');
      await expect(run.result()).rejects.toMatchObject({
        code: 'RUN_FAILED',
        message: expect.stringContaining(new ForbiddenException('Forbidden resource').message),
      });
    });

    it('a filter may answer for what a workflow throws', async () => {
      const run = await app.get(RunService).run(Enhanced, Space, { amount: 1000 }, 'bob');
      expect(await run.result()).toEqual({ filtered: 'too much' });
    });
  });

  it('a producer without workflow classes publishes by name, and its Promise.all over 100,000 runs completes', async () => {
    const producer = await rig.startApp([], { prefix: 'bulk' });
    const runs = producer.get(RunService);
    const before = liveHeap();
    const handles = await Promise.all(Array.from({ length: 100_000 }, (_, n) => runs.run('Any', 'Where', { n }, 'u')));
    expect(new Set(handles.map(({ sequence }) => sequence)).size).toBe(100_000);
    // What is left are the handles, which this test holds.
    expect(liveHeap() - before).toBeLessThan(150 * 1024 * 1024);
  }, 180_000);

  it('the boot stops with every problem named', async () => {
    @Workflow({ concurrency: 0 })
    class Idle {
      run(): void {}
    }
    @Workflow()
    class Lost {
      run(): void {}
    }
    @Workspace({ workflows: [Idle] })
    class Some {}
    const boot = startApp([Idle, Lost, Some], { servers: rig.url, prefix: 'problems' });
    await expect(boot).rejects.toMatchObject({
      code: 'BOOT_FAILED',
      message: expect.stringMatching(/Idle\.concurrency.*; workflow Lost \(App\) is in no workspace/),
    });
  });

  it('without a broker, run() says what to import', async () => {
    @Module({ imports: [LoopstackModule.forRoot()] })
    class App {}
    const app = await NestFactory.createApplicationContext(App, { logger: false });
    await expect(app.get(RunService).run('A', 'B', {}, 'u')).rejects.toMatchObject({
      code: 'BROKER_MISSING',
      fix: expect.stringContaining('NatsModule'),
    });
    await app.close();
  });
});

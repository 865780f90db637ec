import { LoopstackModule, type LoopstackOptions } from '@loopstack/core';
import { LoopstackError, Public } from '@loopstack/shared';
import {
  Catch,
  ConsoleLogger,
  Controller,
  Get,
  Module,
  type ArgumentsHost,
  type ExceptionFilter,
  type INestApplication,
} from '@nestjs/common';
import { APP_FILTER, HttpAdapterHost, NestFactory } from '@nestjs/core';

@Controller()
@Public()
class Failing {
  @Get('mistake')
  mistake(): never {
    throw new LoopstackError('WORKFLOW_UNKNOWN', { workspace: 'Orders', workflow: 'Shp' });
  }

  @Get('fault')
  fault(): never {
    throw new LoopstackError('PUBLISH_UNAVAILABLE', { reason: 'nats://10.0.0.7:4222 refused the connection' });
  }
}

@Catch()
class Own implements ExceptionFilter {
  constructor(private readonly adapters: HttpAdapterHost) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const body = { own: thrown instanceof LoopstackError ? thrown.code : 'other' };
    this.adapters.httpAdapter.reply(host.switchToHttp().getResponse(), body, 418);
  }
}

class Lines extends ConsoleLogger {
  readonly errors: string[] = [];
  override log(): void {}
  override error(message: unknown): void {
    this.errors.push(String(message));
  }
}

describe('an HTTP handler that throws a LoopstackError', () => {
  let app: INestApplication | undefined;
  let logger: Lines;
  afterEach(async () => {
    await app?.close();
    app = undefined;
  });

  async function get(path: string, options: LoopstackOptions, filters: object[] = []): Promise<{ status: number; body: object }> {
    @Module({ imports: [LoopstackModule.forRoot(options)], controllers: [Failing], providers: filters as never })
    class App {}
    logger = new Lines();
    app = await NestFactory.create(App, { logger, abortOnError: false });
    await app.listen(0, '127.0.0.1');
    const response = await fetch(`${await app.getUrl()}/${path}`);
    return { status: response.status, body: (await response.json()) as object };
  }

  it('answers a mistake of the client with the remedy', async () => {
    const { status, body } = await get('mistake', {});
    expect(status).toBe(404);
    expect(body).toMatchObject({
      statusCode: 404,
      code: 'WORKFLOW_UNKNOWN',
      message: expect.stringContaining('Shp'),
      fix: expect.any(String),
    });
  });

  it('answers a fault of the server without its text, and logs that', async () => {
    const { status, body } = await get('fault', {});
    expect(status).toBe(503);
    expect(body).toEqual({ statusCode: 503, code: 'PUBLISH_UNAVAILABLE', message: 'Service Unavailable', fix: expect.any(String) });
    expect(logger.errors).toEqual([expect.stringContaining('10.0.0.7')]);
  });

  it("leaves the answer to the application's filter without httpErrors", async () => {
    const { status, body } = await get('mistake', { httpErrors: false }, [{ provide: APP_FILTER, useClass: Own }]);
    expect({ status, body }).toEqual({ status: 418, body: { own: 'WORKFLOW_UNKNOWN' } });
  });
});

import { LoopstackModule, type LoopstackOptions } from '@loopstack/core';
import { JetStreamServer, NatsModule, type NatsOptions } from '@loopstack/nats';
import {
  Module,
  type INestApplicationContext,
  type INestMicroservice,
  type LogLevel,
  type LoggerService,
  type ModuleMetadata,
  type Type,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { AsyncMicroserviceOptions, CustomStrategy } from '@nestjs/microservices';

type Logger = LoggerService | LogLevel[];

/** A worker in this process: the given workflows and workspaces, on the server at `nats.servers`. */
export function startApp(
  providers: readonly Type<object>[],
  nats: NatsOptions,
  loopstack: LoopstackOptions = {},
  logger: Logger = ['fatal'],
): Promise<INestMicroservice> {
  return startWorker(appOf(nats, loopstack, { providers: [...providers] }), logger);
}

/** The module of an application. */
export function appOf(nats: NatsOptions, loopstack: LoopstackOptions, metadata: ModuleMetadata): Type<object> {
  @Module({ ...metadata, imports: [LoopstackModule.forRoot(loopstack), NatsModule.forRoot(nats)] })
  class App {}
  return App;
}

/** An application that only takes part as a worker. Resolves when it consumes; closes it if it does not. */
export async function startWorker(App: Type<object>, logger: Logger = ['fatal']): Promise<INestMicroservice> {
  const app = await createWorker(App, logger);
  try {
    await app.listen();
  } catch (error) {
    await app.close();
    throw error;
  }
  return app;
}

/** The same, not started. */
export function createWorker(App: Type<object>, logger: Logger = ['fatal']): Promise<INestMicroservice> {
  const strategy: AsyncMicroserviceOptions = {
    inject: [JetStreamServer],
    useFactory: (server: JetStreamServer): CustomStrategy => ({ strategy: server }),
  };
  return NestFactory.createMicroservice<AsyncMicroserviceOptions>(App, { ...strategy, logger, abortOnError: false });
}

/** An HTTP application with its worker beside it. */
export async function startBeside(App: Type<object>): Promise<INestApplicationContext> {
  const app = await NestFactory.create(App, QUIET);
  try {
    app.connectMicroservice({ strategy: app.get(JetStreamServer) });
    await app.startAllMicroservices();
    return await app.init();
  } catch (error) {
    await app.close();
    throw error;
  }
}

/** An application without a worker, as a producer is. */
export function startProducer(App: Type<object>): Promise<INestApplicationContext> {
  return NestFactory.createApplicationContext(App, QUIET);
}

const QUIET = { logger: ['fatal' as const], abortOnError: false };

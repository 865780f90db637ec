import { LoopstackModule, type LoopstackOptions } from '@loopstack/core';
import { JetStreamServer, NatsModule, type NatsOptions } from '@loopstack/nats';
import { Module, type INestMicroservice, type LogLevel, type LoggerService, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { AsyncMicroserviceOptions, CustomStrategy } from '@nestjs/microservices';

/** A worker in this process: the given workflows and workspaces, on the server at `nats.servers`. */
export async function startApp(
  providers: readonly Type<object>[],
  nats: NatsOptions,
  loopstack: LoopstackOptions = {},
  logger: LoggerService | LogLevel[] = ['fatal'],
): Promise<INestMicroservice> {
  @Module({ imports: [LoopstackModule.forRoot(loopstack), NatsModule.forRoot(nats)], providers: [...providers] })
  class App {}
  const strategy: AsyncMicroserviceOptions = {
    inject: [JetStreamServer],
    useFactory: (server: JetStreamServer): CustomStrategy => ({ strategy: server }),
  };
  const app = await NestFactory.createMicroservice<AsyncMicroserviceOptions>(App, { ...strategy, logger, abortOnError: false });
  try {
    await app.listen();
  } catch (error) {
    await app.close();
    throw error;
  }
  return app;
}

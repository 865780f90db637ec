import { ConsoleLogger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { JetStreamServer } from '@loopstack/nats';
import { AppModule } from './app.module.js';
import { harden } from './http/hardening.js';
import { useStrictJsonBodies } from './http/json-body.js';
import type { Settings } from './settings.js';

/** Contexts in which Nest lists modules and routes at each start. */
const INVENTORY: readonly unknown[] = ['InstanceLoader', 'RoutesResolver', 'RouterExplorer'];

class WorkerLogger extends ConsoleLogger {
  override log(message: unknown, ...rest: [unknown?, ...unknown[]]): void {
    if (INVENTORY.includes(rest.at(-1))) super.debug(message, ...rest);
    else super.log(message, ...rest);
  }

  /** Nest logs what stops a boot, with its stack; the caller gets the same error and explains it. */
  override error(message: unknown, ...rest: [unknown?, ...unknown[]]): void {
    if (rest.at(-1) !== 'ExceptionHandler') super.error(message, ...rest);
  }
}

/**
 * The worker and its HTTP side, connected and not yet started.
 * @throws whatever stops the boot; nothing has been logged about it
 */
export async function createApp(settings: Settings): Promise<NestExpressApplication> {
  const app = await NestFactory.create<NestExpressApplication>(AppModule.with(settings), {
    logger: new WorkerLogger({ json: settings.logFormat === 'json', logLevels: [...settings.logLevels] }),
    abortOnError: false,
    rawBody: true,
    bodyParser: false,
  });
  harden(app, settings);
  useStrictJsonBodies(app);
  app.connectMicroservice({ strategy: app.get(JetStreamServer) });
  return app;
}

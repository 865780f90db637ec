import 'reflect-metadata';
import { Logger } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { createApp } from './app.js';
import { readSettings } from './settings.js';

async function boot(): Promise<void> {
  let app: NestExpressApplication | undefined;
  try {
    const settings = readSettings();
    app = await createApp(settings);
    // Exit code 0 after an orderly end: what asked for it is not an error.
    app.enableShutdownHooks(['SIGTERM', 'SIGINT'], { useProcessExit: true });
    await app.startAllMicroservices();
    await (settings.host === undefined ? app.listen(settings.port) : app.listen(settings.port, settings.host));
    new Logger('Worker').log(`Listening at ${await app.getUrl()}`);
  } catch (error) {
    process.stderr.write(`The worker did not start. ${explain(error)}\n`);
    await app?.close().catch(() => {});
    process.exit(1);
  }
}

/** A boot error is for an operator: the message, not the stack. */
function explain(error: unknown): string {
  const { code, message = String(error), fix } = error as { code?: string; message?: string; fix?: string };
  if (code === 'EADDRINUSE') return `${message}\nSet PORT to a free port.`;
  return fix === undefined ? message : `${message}\n${fix}`;
}

await boot();

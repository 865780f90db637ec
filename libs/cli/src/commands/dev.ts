import { endWithParent, isFree, startNatsServer, type NatsServer } from '@loopstack/nats-server';
import { Command } from 'commander';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Cli, Invocation } from '../cli.js';
import { EXIT, UsageError, type ExitCode } from '../exit.js';
import { integerOf } from '../format.js';
import { environmentWith } from '../settings.js';

interface DevFlags {
  readonly port: number;
  readonly store: string;
  /** False with `--no-worker`. */
  readonly worker: string | boolean;
  readonly watch?: boolean;
}

/** From SIGTERM to SIGKILL: a worker may take its time to finish the runs that it has begun. */
const GRACE_MS = 60_000;

export function devCommand(cli: Cli): Command {
  return new Command('dev')
    .description('run a nats-server and your worker until Ctrl-C')
    .option('--port <number>', 'port of the server; if it is in use, the next free one', integerOf('port'), 4222)
    .option('--store <directory>', 'data directory of the server', '.loopstack/nats')
    .option('--worker <file>', 'worker to run; default: the main file of ./package.json')
    .option('--no-worker', 'run only the server')
    .option('--watch', 'restart the worker when its files change')
    .action(cli.action<DevFlags>(dev));
}

async function dev({ options, terminal, signal }: Invocation<DevFlags>): Promise<ExitCode> {
  const worker = options.worker === false ? undefined : workerFile(options.worker);
  const port = await freePort(options.port);
  const server = await startNatsServer({ port, storeDir: resolve(options.store) });
  try {
    if (port !== options.port)
      terminal.note(`port ${options.port} is in use, so the server listens on ${port}; the worker gets it in NATS_URL`);
    terminal.line({ url: server.url, store: server.storeDir, pid: server.pid }, `nats-server  ${server.url}  data in ${options.store}`);
    const stopped = new Promise<void>((settle) =>
      signal.aborted ? settle() : signal.addEventListener('abort', () => settle(), { once: true }),
    );
    const ended = worker === undefined ? stopped : runWorker(worker, server, options.watch === true, stopped, terminal.options.color);
    const code = await Promise.race([ended, server.exited.then(() => 'server' as const)]);
    if (code === 'server') throw new UsageError('the nats-server exited', `See ${server.logFile}.`);
    return typeof code === 'number' && code !== 0 && !signal.aborted ? EXIT.USAGE : EXIT.DONE;
  } finally {
    await server.stop();
  }
}

function workerFile(given: string | true | undefined): string {
  const file = typeof given === 'string' ? given : mainFile();
  if (file === undefined || !existsSync(file))
    throw new UsageError(
      typeof given === 'string'
        ? `there is no worker ${given}`
        : file === undefined
          ? 'there is no ./package.json whose main file is the worker'
          : `there is no worker ${file}, which is the main file of ./package.json`,
      'Build it, pass --worker <file>, or run only the server with --no-worker.',
    );
  return resolve(file);
}

function mainFile(): string | undefined {
  if (!existsSync('package.json')) return undefined;
  const { main } = JSON.parse(readFileSync('package.json', 'utf8')) as { main?: string };
  return main ?? 'dist/main.js';
}

async function freePort(wanted: number): Promise<number> {
  for (let port = wanted; port < wanted + 100 && port > 0; port++) if (await isFree(port, '127.0.0.1')) return port;
  return -1;
}

/** Runs the worker until it ends or is stopped; it gets the time to finish what it has begun. */
async function runWorker(file: string, server: NatsServer, watch: boolean, stopped: Promise<void>, color: boolean): Promise<number> {
  const args = ['--enable-source-maps', ...(watch ? ['--watch', '--watch-preserve-output'] : []), file];
  // Detached: Ctrl-C in the terminal is for this process, which stops the worker before the server.
  const child = spawn(process.execPath, args, {
    env: environmentWith({ NATS_URL: server.url, ...(color ? {} : { NO_COLOR: '1' }) }),
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
  });
  const forget = child.pid === undefined ? undefined : endWithParent(child.pid);
  const exited = new Promise<number>((settle) => {
    child.once('error', () => settle(1));
    child.once('exit', (code) => settle(code ?? 1));
  });
  void stopped.then(() => {
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), GRACE_MS).unref();
  });
  const code = await exited;
  forget?.();
  return code;
}

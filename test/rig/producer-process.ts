import { endWithParent } from '@loopstack/nats-server';
import type { RunAddress, RunOptions } from '@loopstack/shared';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { FakeClock } from './fake-clock.js';

const PROGRAM = fileURLToPath(new URL('./producer-program.mjs', import.meta.url));

type Told =
  { readonly ready: true } | { readonly warning: string } | { readonly id: number; readonly answer?: unknown; readonly failed?: string };

/** `seed`: of the key by which it signs. */
export interface ProducerConnection {
  readonly servers?: string;
  readonly user?: string;
  readonly pass?: string;
  readonly inboxPrefix?: string;
  readonly seed?: string;
}

/** What a call of the producer may have: times as milliseconds since the epoch. */
type Options = Omit<RunOptions, 'at'> & { readonly at?: number };

/** A producer in a process of its own, with a clock of its own. */
export class ProducerProcess {
  readonly warnings: string[] = [];
  readonly #asked = new Map<number, (told: { readonly answer?: unknown; readonly failed?: string }) => void>();
  readonly #exited: Promise<unknown>;

  private constructor(private readonly child: ChildProcess) {
    const forget = endWithParent(child.pid as number);
    this.#exited = once(child, 'exit').then(forget);
    child.on('message', (told: Told) => {
      if ('warning' in told) this.warnings.push(told.warning);
      if ('id' in told) this.#asked.get(told.id)?.(told);
    });
  }

  /** Resolves when it is connected. */
  static async start(connection: ProducerConnection, clock: FakeClock): Promise<ProducerProcess> {
    const child = spawn(process.execPath, [PROGRAM, JSON.stringify(connection)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, NODE_OPTIONS: '', ...clock.env },
    });
    const producer = new ProducerProcess(child);
    const ended = producer.#exited.then(() => Promise.reject(new Error('the producer did not start')));
    await Promise.race([once(child, 'message'), ended]);
    return producer;
  }

  run(options: Options = {}): Promise<string> {
    return this.#call('run', options);
  }

  runMany(count: number, options: Options = {}): Promise<number> {
    return this.#call('runMany', count, options);
  }

  fanOut(count: number, options: Options = {}): Promise<readonly string[]> {
    return this.#call('fanOut', count, options);
  }

  get(runId: string, address?: RunAddress): Promise<string> {
    return this.#call('get', runId, address);
  }

  cancel(runId: string, address?: RunAddress): Promise<string> {
    return this.#call('cancel', runId, address);
  }

  /** By its own clock. */
  now(): Promise<number> {
    return this.#call('now');
  }

  /** The server's time, as it knows it. */
  serverNow(): Promise<number> {
    return this.#call('serverNow');
  }

  async end(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.#exited;
  }

  #calls = 0;

  #call<T>(call: string, ...args: unknown[]): Promise<T> {
    const id = ++this.#calls;
    return new Promise((resolve, reject) => {
      this.#asked.set(id, ({ answer, failed }) => {
        this.#asked.delete(id);
        if (failed === undefined) resolve(answer as T);
        else reject(new Error(failed));
      });
      this.child.send({ id, call, args });
    });
  }
}

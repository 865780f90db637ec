import { endWithParent } from '@loopstack/nats-server';
import type { HealthResult } from '@loopstack/nats';
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { workerProgram } from './transpile.js';
import type { Message, Question, WorkerPlan } from './worker/program.js';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const BOOT_MS = 90_000;

/** A worker as a process of its own, to be killed, frozen and asked. Its output goes to a file. */
export class WorkerProcess {
  readonly pid: number;
  /** Resolves when the process has ended. */
  readonly exited: Promise<Exit>;
  #exit: Exit | undefined;
  #questions = 0;
  readonly #asked = new Map<number, (answer: unknown) => void>();

  private constructor(
    private readonly child: ChildProcess,
    private readonly logFile: string,
  ) {
    this.pid = child.pid as number;
    const forget = endWithParent(this.pid);
    this.exited = new Promise((resolve) =>
      child.once('exit', (code, signal) => {
        forget();
        this.#exit = { code, signal };
        resolve(this.#exit);
      }),
    );
    child.on('message', (message: Message) => {
      if ('answer' in message) this.#asked.get(message.id)?.(message.answer);
    });
  }

  /**
   * Starts a worker; resolves when it consumes.
   * @param wrapper a command that runs it, such as one that limits its memory
   * @throws Error with what it logged if it does not come up
   */
  static async start(plan: WorkerPlan, logFile: string, wrapper: readonly string[] = []): Promise<WorkerProcess> {
    const log = openSync(logFile, 'a');
    const command = [...wrapper, process.execPath, '--enable-source-maps', await workerProgram(), JSON.stringify(plan)];
    const child = spawn(command[0] as string, command.slice(1), {
      stdio: ['ignore', log, log, 'ipc'],
      env: { ...process.env, NODE_OPTIONS: '', NO_COLOR: '1' },
    });
    closeSync(log);
    const worker = new WorkerProcess(child, logFile);
    await worker.#booted();
    return worker;
  }

  async #booted(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const ready = new Promise<void>((resolve, reject) => {
      this.child.on('message', (message: Message) => {
        if ('ready' in message) resolve();
        if ('failed' in message) reject(new Error(message.failed));
      });
      timer = setTimeout(() => reject(new Error('it did not say that it is ready')), BOOT_MS);
      void this.exited.then(() => reject(new Error('it ended')));
    });
    try {
      await ready;
    } catch (error) {
      await this.end();
      throw new Error(`the worker did not start: ${(error as Error).message}\n${this.log().slice(-3000)}`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  get running(): boolean {
    return this.#exit === undefined;
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<Exit> {
    this.child.kill(signal);
    return this.exited;
  }

  /** Ends the process whatever it does, also when it is frozen. */
  async end(): Promise<void> {
    if (this.running) await this.kill('SIGKILL');
  }

  ask<T>(question: Question, timeoutMs = 10_000): Promise<T> {
    const id = ++this.#questions;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`worker ${this.pid} did not answer ${question}`)), timeoutMs);
      this.#asked.set(id, (answer) => {
        clearTimeout(timer);
        this.#asked.delete(id);
        resolve(answer as T);
      });
      this.child.send({ ask: question, id });
    });
  }

  /** Readiness: whether it is up, what it names as problems, and what it says of its clock. */
  async ready(): Promise<{ readonly up: boolean; readonly problems: readonly string[]; readonly clock: string | undefined }> {
    const { loopstack } = await this.ask<HealthResult<'loopstack'>>('ready');
    return {
      up: loopstack.status === 'up',
      problems: (loopstack['problems'] as string[] | undefined) ?? [],
      clock: loopstack['clock'] as string | undefined,
    };
  }

  /** What it has printed. */
  log(): string {
    return readFileSync(this.logFile, 'utf8');
  }
}

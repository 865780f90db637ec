import { NonRetryableError, Workflow, Workspace, type RunContext } from '@loopstack/core';
import type { INestMicroservice } from '@nestjs/common';
import { IsInt, IsOptional, IsString, Max, Min } from 'class-validator';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Harness, using, type Per, type ServerOptions } from '../rig/harness.js';

const BINARY = fileURLToPath(new URL('../../libs/cli/bin/loopstack.js', import.meta.url));

/** What came of a command. */
export interface Done {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Invocation {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** A command that goes on. */
export class Running {
  stdout = '';
  stderr = '';
  readonly done: Promise<Done>;

  constructor(readonly child: ChildProcess) {
    child.stdout?.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.done = new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout: this.stdout, stderr: this.stderr })));
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
}

class OrderPayload {
  @IsString() orderId!: string;
  @IsInt() @Min(1) @Max(9) @IsOptional() priority?: number;
  /** What the workflow does. */
  @IsString() @IsOptional() act?: string;
}

/** Runs that are told what to do by their payload. */
@Workflow({ payload: OrderPayload, concurrency: 4, record: 'full', retry: { attempts: 2, delay: '50ms' } })
class ProcessOrder {
  async run({ orderId, act }: OrderPayload, ctx: RunContext): Promise<unknown> {
    if (act === 'fail') throw new NonRetryableError(`no ${orderId}`);
    if (act === 'hang') await new Promise((_, reject) => ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason as Error)));
    if (act === 'progress') await ctx.progress({ percent: 50 });
    return { orderId, by: ctx.userId };
  }
}

@Workspace({ workflows: [ProcessOrder] })
class Orders {}

/** A server, the command as a user runs it, and a worker if it is asked for. */
export class CliRig extends Harness {
  home = '';
  #worker: Promise<INestMicroservice> | undefined;

  static start(server: ServerOptions = {}): Promise<CliRig> {
    const rig = new CliRig();
    return rig.after(rig.#begin(server));
  }

  /** A rig for the tests of the file or of the `describe` that calls this. */
  static use(per: Per, server: ServerOptions = {}): CliRig {
    const rig = new CliRig();
    return using(per, rig, () => rig.#begin(server));
  }

  async #begin(server: ServerOptions): Promise<void> {
    this.#worker = undefined;
    this.home = await this.makeFolder('cli');
    await this.startServer(server);
  }

  async worker(): Promise<void> {
    await (this.#worker ??= this.startApp([ProcessOrder, Orders]));
  }

  async stopWorker(): Promise<void> {
    await this.stop(await this.#worker);
    this.#worker = undefined;
  }

  start(args: readonly string[], { stdin, env = {}, cwd = this.home }: Invocation = {}): Running {
    const child = spawn(process.execPath, [BINARY, ...args], {
      cwd,
      // Nothing of this process's environment but where programs are.
      env: { PATH: process.env['PATH'], HOME: this.home, NATS_URL: this.server.url, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.stdin.end(stdin ?? '');
    this.closeAtEnd({ close: () => child.kill('SIGKILL') });
    return new Running(child);
  }

  /** Runs the command to its end. */
  loopstack(...args: readonly string[]): Promise<Done> {
    return this.start(args).done;
  }

  with(invocation: Invocation, ...args: readonly string[]): Promise<Done> {
    return this.start(args, invocation).done;
  }

  /** Runs the command with `--json` and reads what it says; fails unless it ends with `code`. */
  async json<T>(args: readonly string[], code = 0): Promise<T> {
    const done = await this.loopstack(...args, '--json');
    if (done.code !== code) throw new Error(`loopstack ${args.join(' ')} ended with ${done.code}: ${done.stderr}${done.stdout}`);
    return JSON.parse(done.stdout) as T;
  }

  /** Writes a file into the home directory; returns its path. */
  async file(name: string, text: string): Promise<string> {
    const path = join(this.home, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    return path;
  }

  read(name: string): Promise<string> {
    return readFile(join(this.home, name), 'utf8');
  }
}

import { endWithParent } from '@loopstack/nats-server';
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Answer, Program } from './program.js';

/** The compiled program, also where a test runs this file as it is. */
const ENTRY = fileURLToPath(new URL('../dist/program.js', import.meta.url));

/** A process of the benchmark: a producer, or a worker. */
export class Actor {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #asked = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #questions = 0;

  constructor(execArgv: readonly string[] = []) {
    this.#child = fork(ENTRY, [], { execArgv: [...execArgv], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.pid = this.#child.pid as number;
    const forget = endWithParent(this.pid);
    this.#child.on('message', (answer: Answer) => {
      const asked = this.#asked.get(answer.id);
      this.#asked.delete(answer.id);
      if ('error' in answer) asked?.reject(new Error(answer.error));
      else asked?.resolve(answer.value);
    });
    this.#child.once('exit', (code) => {
      forget();
      for (const { reject } of this.#asked.values()) reject(new Error(`a process of the benchmark ended with code ${code}`));
    });
  }

  ask<Call extends keyof Program>(call: Call, ...args: Parameters<Program[Call]>): ReturnType<Program[Call]> {
    const id = ++this.#questions;
    const answer = new Promise((resolve, reject) => this.#asked.set(id, { resolve, reject }));
    this.#child.send({ id, call, args });
    return answer as ReturnType<Program[Call]>;
  }

  /** Ends the process without asking it: one that is stuck would not answer. */
  async kill(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    await this.ask('close').catch(() => undefined);
    if (this.#child.connected) this.#child.disconnect();
    await ended;
  }
}

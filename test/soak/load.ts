import type { LoopstackClient } from '@loopstack/client';
import { LoopstackError } from '@loopstack/shared';
import { setTimeout as delay } from 'node:timers/promises';
import { WORKSPACE, type Rig } from '../rig/rig.js';
import type { PlannedWorkflow } from '../rig/worker/program.js';
import type { Job } from '../rig/worker/behaviour.js';

const RETRY = { attempts: 2, delay: '100ms' } as const;

export const WORKFLOWS: readonly PlannedWorkflow[] = [
  { workspace: WORKSPACE, name: 'Job', options: { lease: '2s', retry: RETRY, concurrency: 16 } },
  { workspace: WORKSPACE, name: 'Full', options: { lease: '2s', retry: RETRY, record: 'full', then: [{ workflow: 'Next' }] } },
  { workspace: WORKSPACE, name: 'Next', options: { lease: '2s' } },
  { workspace: WORKSPACE, name: 'Lanes', options: { lease: '2s', priorities: true } },
];

export interface LoadOptions {
  readonly roundMs: number;
  readonly killEveryMs: number;
  /** Each run of one kind keeps memory. */
  readonly leak?: boolean;
}

/** Everything that producers do, round after round, and a worker that is killed now and then. */
export class Load {
  rounds = 0;
  accepted = 0;
  kills = 0;
  refused: unknown[] = [];
  readonly #stopped = new AbortController();
  readonly #ended: Promise<unknown>[] = [];

  constructor(
    private readonly rig: Rig,
    private readonly client: LoopstackClient,
    private readonly options: LoadOptions,
  ) {}

  start(): void {
    this.#ended.push(this.#produce(), this.#kill());
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.all(this.#ended);
  }

  async #produce(): Promise<void> {
    await this.client.schedule('steady', { every: '1s' }, 'Job', WORKSPACE, {}, 'u1');
    while (!this.#stopped.signal.aborted) {
      const began = performance.now();
      const outcomes = await Promise.allSettled(this.#round(this.rounds++));
      for (const outcome of outcomes) {
        if (outcome.status === 'fulfilled') this.accepted++;
        else if (this.refused.length < 10) this.refused.push(outcome.reason);
      }
      await delay(Math.max(1, this.options.roundMs - (performance.now() - began)), undefined, { signal: this.#stopped.signal }).catch(
        () => undefined,
      );
    }
  }

  #round(n: number): Promise<unknown>[] {
    const { client } = this;
    const run = (workflow: string, job: Job = {}, options?: Parameters<LoopstackClient['run']>[4]): ReturnType<LoopstackClient['run']> =>
      client.run(workflow, WORKSPACE, job, 'u1', options);
    const canceled = async (workflow: string, job: Job, options?: Parameters<LoopstackClient['run']>[4]): Promise<unknown> => {
      const { id } = await run(workflow, job, options);
      // On a busy machine it may have ended before, and be forgotten. A delayed one cannot.
      const passes = options?.delay === undefined ? ['RUN_FINISHED', 'RUN_UNKNOWN'] : [];
      return client.cancel(id, { workspace: WORKSPACE, workflow }).catch((error: unknown) => {
        if (!(error instanceof LoopstackError && passes.includes(error.code))) throw error;
      });
    };
    const item = { workspace: WORKSPACE, workflow: 'Job', payload: {}, userId: 'u1' };
    return [
      run('Job', this.options.leak === true ? { do: 'leak', bytes: 4 * 1024 * 1024 } : {}),
      run('Job').then((handle) => handle.result({ timeout: '30s' })),
      run('Job', { do: 'fail-first' }),
      run('Job', { do: 'throw' }),
      run('Job', {}, { delay: '1s' }),
      run('Job', {}, { expiresIn: '1h', correlationId: `c${n}`, headers: { 'x-round': `${n}` } }),
      run('Job', {}, { idempotencyKey: `key-${n}` }),
      run('Job', {}, { idempotencyKey: `key-${n}` }),
      run('Full', { do: 'slow', ms: 20 }),
      run('Full', { do: 'progress', failures: 3 }),
      run('Lanes', {}, { priority: n % 2 === 0 ? 'high' : 'low' }),
      canceled('Job', { do: 'slow', ms: 500 }),
      canceled('Job', {}, { delay: '1h' }),
      client.fanOut([item, item, item]),
      client.runMany([item, item, item, item, item]),
      // A schedule comes, is changed, and goes.
      client
        .schedule(`s${n % 5}`, { every: `${1 + (n % 3)}s` }, 'Job', WORKSPACE, {}, 'u1')
        .then(() => client.schedules.cancel({ workspace: WORKSPACE, workflow: 'Job' }, `s${n % 5}`)),
      // A workflow that nobody has, and an id that nobody knows.
      client.run(`Nobody${n % 3}`, WORKSPACE, {}, 'u1'),
      client.get(`none-${n}`, { workspace: WORKSPACE, workflow: 'Job' }).catch(() => undefined),
    ];
  }

  /** One worker is measured, the other one dies. */
  async #kill(): Promise<void> {
    let victim = await this.rig.worker();
    while (!this.#stopped.signal.aborted) {
      await delay(this.options.killEveryMs, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
      if (this.#stopped.signal.aborted) return;
      await victim.kill(this.kills++ % 2 === 0 ? 'SIGKILL' : 'SIGTERM');
      victim = await this.rig.worker();
    }
  }
}

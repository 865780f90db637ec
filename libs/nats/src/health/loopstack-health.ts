import { monotonicMs } from '@loopstack/shared';
import type { ConsumerRuntime } from '../consume/consumer-runtime.js';
import type { EventSubscriptions, FeedState } from '../events/event-subscriptions.js';
import type { HealthResult } from './health.js';
import type { Worker } from '../worker/worker.js';

/** Longest wait for each answer of the server: a probe of an orchestrator has a deadline of its own. */
const ANSWER_MS = 1000;

/** Health of the worker, in the shape of Terminus indicators: `health.check([() => loopstackHealth.ready()])`. */
export class LoopstackHealth {
  readonly #runtime: ConsumerRuntime;
  readonly #worker: Worker;
  readonly #subscriptions: EventSubscriptions;

  constructor(runtime: ConsumerRuntime, worker: Worker, subscriptions: EventSubscriptions) {
    this.#runtime = runtime;
    this.#worker = worker;
    this.#subscriptions = subscriptions;
  }

  /** Up while the process can do anything at all: a connection that is closed for good never comes back. */
  live<Key extends string = 'loopstack'>(key: Key = 'loopstack' as Key): HealthResult<Key> {
    return {
      [key]: this.#runtime.nc.isClosed() ? { status: 'down', reason: 'the connection is closed' } : { status: 'up' },
    } as HealthResult<Key>;
  }

  /**
   * Up if connected, every consumer answers, nothing stalls, and no alarm is raised. `busy` tells, per workflow that has
   * something to do, what runs, what is queued (by the last count of the server), and how long the oldest of it has waited in ms.
   * `otherRelease` tells of workflows whose commands this release has lately left to another one that runs.
   * `clock` says that the clocks of this machine and the server differ, or that the server does not tell its time: work goes on by the server's.
   * `paused`, and `pausedUntil` of `events`, tell of durables that an operator has paused: that is no problem of this process, and takes none out of service.
   */
  async ready<Key extends string = 'loopstack'>(key: Key = 'loopstack' as Key): Promise<HealthResult<Key>> {
    const problems = [...this.#runtime.alarms.raised.values()];
    if (this.#runtime.nc.isClosed()) problems.push('the connection is closed');
    const answers =
      !this.#runtime.nc.isClosed() &&
      (await withinMs(
        ANSWER_MS,
        this.#runtime.nc.flush().then(() => true),
      )) === true;
    if (!answers && !this.#runtime.nc.isClosed()) problems.push('the server does not answer');
    const queuedSince = answers ? await withinMs(ANSWER_MS, this.#worker.queuedSince()) : undefined;
    const { running, workflows } = this.#worker.state();
    const now = monotonicMs();
    for (const flow of workflows) {
      const name = `${flow.workspace}.${flow.workflow}`;
      if (!flow.consuming) problems.push(`${name}: the consumer does not answer`);
      if (flow.refusal !== undefined) problems.push(`${name}: the server refuses to deliver: ${flow.refusal}`);
      const stalledMs = now - flow.lastSettledMs;
      const stands = flow.pending + flow.waiting > 0 && flow.active === 0 && flow.pausedUntil === undefined;
      if (stands && stalledMs > this.#runtime.options.stalledAfterMs)
        problems.push(`${name}: runs are queued and none has started for ${Math.round(stalledMs / 1000)} s`);
    }
    const { feeds, unused } = this.#subscriptions.state();
    for (const { title, consuming } of feeds) if (!consuming) problems.push(`${title}: the consumer does not answer`);
    const busy = workflows.filter((flow) => flow.active + flow.waiting + flow.pending > 0);
    const left = workflows.filter((flow) => flow.handedOver !== undefined);
    const paused = workflows.filter((flow) => flow.pausedUntil !== undefined);
    const clock = this.#runtime.api.clock.finding;
    const details = {
      running,
      ...(clock === undefined ? {} : { clock }),
      workflows: workflows.length,
      busy: busy.map(({ workspace, workflow, active, waiting, pending }) => {
        const sinceMs = queuedSince?.get(`${workspace}.${workflow}`);
        const oldest = sinceMs === undefined ? {} : { oldestQueuedMs: Math.max(0, this.#runtime.api.clock.nowMs() - sinceMs) };
        return { workspace, workflow, active, queued: waiting + pending, ...oldest };
      }),
      ...(left.length === 0
        ? {}
        : {
            otherRelease: left.map(({ workspace, workflow, handedOver }) => ({ workspace, workflow, deliveries: handedOver?.deliveries })),
          }),
      ...(paused.length === 0
        ? {}
        : { paused: paused.map(({ workspace, workflow, pausedUntil: until }) => ({ workspace, workflow, until })) }),
      ...(feeds.length === 0 ? {} : { events: feeds.map(eventsOf) }),
      ...(unused.length === 0 ? {} : { unusedBindings: unused }),
    };
    return {
      [key]: problems.length > 0 ? { status: 'down', problems, ...details } : { status: 'up', ...details },
    } as unknown as HealthResult<Key>;
  }
}

function eventsOf({ title, active, pending, pausedUntil }: FeedState): object {
  return { title, active, pending, ...(pausedUntil === undefined ? {} : { pausedUntil }) };
}

/** What it resolves to in time; undefined also where it fails. */
async function withinMs<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<undefined>((resolve) => (timer = setTimeout(resolve, ms, undefined)));
  try {
    return await Promise.race([work, silence]);
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

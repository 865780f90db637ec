import { declaredSchedules, type Subscriptions, type Workers } from '@loopstack/core';
import { LoopstackError, cancellation, type RunInfo, type RunReference } from '@loopstack/shared';
import { MemoryBroker } from './memory-broker.js';
import { MemoryDeadLetters } from './memory-dead-letters.js';
import { MemoryEvents } from './memory-events.js';
import { MemorySchedules } from './memory-schedules.js';
import { MemoryWorker } from './memory-worker.js';
import type { ResolvedMemoryBrokerOptions } from '../options.js';
import { RunHistory } from './run-history.js';
import { RunState } from './run-state.js';

/** Producers, workers, events and schedules of one application, in memory. */
export class MemoryRuntime {
  readonly broker: MemoryBroker;
  readonly schedules: MemorySchedules;
  readonly history: RunHistory;
  readonly state: RunState;
  readonly deadLetters: MemoryDeadLetters;
  readonly #events: MemoryEvents;
  readonly #workers = new Map<string, MemoryWorker>();
  #started: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;

  constructor(
    options: ResolvedMemoryBrokerOptions,
    private readonly workers: Workers,
    private readonly subscriptions: Subscriptions,
  ) {
    this.broker = new MemoryBroker(options);
    this.schedules = new MemorySchedules(this.broker);
    this.history = new RunHistory(this.broker);
    this.state = new RunState(this.broker, this.schedules);
    this.#events = new MemoryEvents(this.broker);
    this.deadLetters = new MemoryDeadLetters(this.broker, this.#events);
  }

  /** Starts the workers once. @throws LoopstackError BOOT_FAILED, OPTION_INVALID, SCHEDULE_INVALID, CLOSED */
  started(): Promise<void> {
    if (this.#stopped) return Promise.reject(new LoopstackError('CLOSED'));
    return (this.#started ??= this.#start());
  }

  async #start(): Promise<void> {
    const runners = this.workers.runners();
    await this.workers.checkSchedules();
    this.#events.start(this.subscriptions);
    for (const runner of runners) {
      const { entry } = runner;
      this.#workers.set(`${entry.workspace}.${entry.workflow}`, new MemoryWorker(this.broker, runner));
    }
    const { names } = this.broker.options;
    this.broker.runs.onMessage((message) => {
      const parsed = names.parseRun(message.subject);
      if (parsed) this.#workers.get(`${parsed.workspace}.${parsed.workflow}`)?.offer(message, parsed.priority);
    });
    for (const { entry } of runners) {
      for (const { id, recurrence, userId, payload, options } of declaredSchedules(entry)) {
        await this.schedules.put(id, recurrence, entry.workflow, entry.workspace, payload, userId, options);
      }
    }
  }

  /** Ends a run as canceled. @throws LoopstackError RUN_UNKNOWN, RUN_FINISHED */
  cancel(run: RunReference): RunInfo {
    const { workspace, workflow, id } = run;
    const info = this.state.get(run);
    const event = cancellation(info, this.broker.lastEvent(run, id)?.event, this.broker.clock.isoNow());
    if (event === undefined) return info;
    this.broker.record(run, id, event);
    this.schedules.forget(run, id);
    this.#workers.get(`${workspace}.${workflow}`)?.cancel(id);
    return { ...info, status: 'canceled', updatedAt: event.at };
  }

  /** Takes nothing from now on, and lets executing runs end within the grace period. */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#stop());
  }

  async #stop(): Promise<void> {
    await this.#started?.catch(() => undefined);
    this.#events.stop();
    for (const worker of this.#workers.values()) worker.stop();
    await this.broker.activity.ended(this.broker.options.shutdownGraceMs);
    for (const worker of this.#workers.values()) worker.abort();
    this.broker.clock.stop();
    this.history.close();
  }
}

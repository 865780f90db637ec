import type { WorkflowRunner } from '@loopstack/core';
import type { Publisher } from '@loopstack/jetstream';
import { Logger } from '@nestjs/common';
import { hostname } from 'node:os';
import type { ConsumerGuard } from '../consume/consumer-guard.js';
import type { ConsumerRuntime } from '../consume/consumer-runtime.js';
import { LeaseKeeper, maxBlockedMs } from '../leases/lease-keeper.js';
import { retryUntilLeader } from '../topology/retry-until-leader.js';
import type { Topology } from '../topology/topology.js';
import type { TrustOf } from '../upkeep/unserved.js';
import { WorkerUpkeep } from '../upkeep/worker-upkeep.js';
import { CanceledRuns } from './canceled-runs.js';
import { ConsumerFactory } from './consumer-factory.js';
import { DeadLetterWriter } from './outcome/dead-letter-writer.js';
import type { Lane } from './queue/lane.js';
import type { HandedOver } from './other-releases.js';
import { QueueStatus } from './queue/queue-status.js';
import { RunEvents } from './outcome/run-events.js';
import type { WorkflowConsumer } from './workflow-consumer.js';

/** For how long a message that is no event, on the subject of a run, makes readiness red. */
const FOREIGN_MESSAGE_MS = 5 * 60_000;

/** The state of the worker; health and diagnosis read it. */
export interface WorkerState {
  readonly running: boolean;
  readonly workflows: readonly WorkflowState[];
}

interface WorkflowState {
  readonly workspace: string;
  readonly workflow: string;
  readonly active: number;
  /** What this release refuses and another one that runs may take. */
  readonly handedOver: HandedOver | undefined;
  readonly waiting: number;
  readonly pending: number;
  readonly lastSettledMs: number;
  /** The consumer answers. */
  readonly consuming: boolean;
  /** Why the server refuses to deliver to this process, as long as it does. */
  readonly refusal: string | undefined;
  /** Until when an operator has paused it, or one of its lanes. */
  readonly pausedUntil: string | undefined;
}

/** Consumes the workflows of this process until it is stopped. */
export class Worker {
  readonly #logger = new Logger(Worker.name);
  readonly #name = `${hostname()}:${process.pid}`;
  readonly #runtime: ConsumerRuntime;
  readonly #leases: LeaseKeeper;
  readonly #canceled: CanceledRuns;
  readonly #factory: ConsumerFactory;
  readonly #upkeep: WorkerUpkeep;
  readonly #queue: QueueStatus;
  #consumers: readonly WorkflowConsumer[] = [];
  #running = false;
  #started: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;

  constructor(runtime: ConsumerRuntime, guard: ConsumerGuard, topology: Topology, publisher: Publisher) {
    const { api, options, alarms, nc } = runtime;
    const { names, publishTimeoutMs } = options;
    const onUnavailable = (): void => void guard.repairStreams();
    const events = new RunEvents(api, publisher, {
      names,
      timeoutMs: publishTimeoutMs,
      worker: this.#name,
      onUnavailable,
      onForeign: (reason) => alarms.tell('strange-events', FOREIGN_MESSAGE_MS, reason),
    });
    const deadLetters = new DeadLetterWriter(nc, publisher, names, onUnavailable);
    this.#runtime = runtime;
    this.#leases = new LeaseKeeper(runtime.ticker);
    this.#canceled = new CanceledRuns(api, names, ({ workspace, workflow }, runIds) => {
      for (const consumer of this.#consumers) {
        const { entry } = consumer.runner;
        if (entry.workspace === workspace && entry.workflow === workflow) void consumer.cancel(runIds);
      }
    });
    const { table: leases } = this.#leases;
    this.#factory = new ConsumerFactory({ runtime, guard, topology, leases, events, deadLetters, canceled: this.#canceled });
    this.#upkeep = new WorkerUpkeep({ runtime, guard, topology, publisher, events, deadLetters });
    this.#queue = new QueueStatus(runtime);
    runtime.onReconnect(() => this.#readCancels());
  }

  /**
   * Consumes nothing if it is stopped meanwhile.
   * @throws LoopstackError TOPOLOGY_CONFLICT, TOPOLOGY_MISSING
   */
  start(runners: readonly WorkflowRunner[], trustOf: TrustOf): Promise<void> {
    return (this.#started = this.#start(runners, trustOf));
  }

  async #start(runners: readonly WorkflowRunner[], trustOf: TrustOf): Promise<void> {
    if (this.#stopped) return;
    const { nc, options } = this.#runtime;
    const starting = (): boolean => this.#stopped === undefined;
    const workflows = runners.map(({ entry }) => entry);
    await this.#canceled.start(nc, workflows, starting);
    this.#consumers = await this.#factory.create(runners, starting);
    if (!starting()) return;
    const lanes = this.#lanes();
    if (runners.length > 0) {
      const leases = lanes.map(({ leaseMs }) => leaseMs);
      await this.#leases.start(options, Math.min(...leases), maxBlockedMs(options, Math.max(...leases)));
    }
    if (!starting()) return;
    this.#running = true;
    this.#runtime.start(lanes);
    this.#upkeep.start(workflows, lanes, trustOf);
    this.#logger.log(`${this.#name} consumes ${runners.length} workflow${runners.length === 1 ? '' : 's'}`);
  }

  state(): WorkerState {
    return { running: this.#running, workflows: this.#consumers.map((consumer) => this.#stateOf(consumer)) };
  }

  #stateOf({ runner, settler, lanes, active }: WorkflowConsumer): WorkflowState {
    const { workspace, workflow } = runner.entry;
    return {
      workspace,
      workflow,
      active,
      handedOver: settler.releases.shown,
      waiting: lanes.reduce((sum, lane) => sum + lane.waiting, 0),
      pending: lanes.reduce((sum, lane) => sum + lane.backlog.pending, 0),
      lastSettledMs: Math.max(...lanes.map((lane) => lane.lastSettledMs)),
      consuming: lanes.every((lane) => this.#runtime.answers(lane)),
      refusal: lanes.find((lane) => lane.loop.refusal !== undefined)?.loop.refusal,
      pausedUntil: lanes.find((lane) => lane.pausedUntil !== undefined)?.pausedUntil,
    };
  }

  /** Per workflow with queued runs, when the oldest was published. @throws JetStreamApiError */
  queuedSince(): Promise<ReadonlyMap<string, number>> {
    return this.#queue.queuedSince(this.#consumers);
  }

  /** Stops pulling, gives back what waits, lets running workflows finish within the grace period. */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#stop());
  }

  async #stop(): Promise<void> {
    await this.#started?.catch(() => undefined);
    const wasRunning = this.#running;
    this.#running = false;
    if (wasRunning) {
      this.#upkeep.stop();
      const active = this.#consumers.reduce((sum, consumer) => sum + consumer.active, 0);
      if (active > 0) this.#logger.log(`Stopping: ${active} runs finish within ${this.#runtime.options.shutdownGraceMs} ms`);
      await this.#runtime.stop(this.#lanes(), this.#consumers);
    }
    this.#leases.stop();
    this.#canceled.stop();
    if (wasRunning) await this.#runtime.flushed();
  }

  /** Cancels that were told while the connection was down. */
  #readCancels(): void {
    if (!this.#running) return;
    const load = retryUntilLeader(
      () => this.#canceled.load(),
      () => this.#running,
    );
    void load.catch((error: Error) => this.#logger.warn(`Canceled runs could not be read: ${error.message}`));
  }

  #lanes(): readonly Lane[] {
    return this.#consumers.flatMap((consumer) => consumer.lanes);
  }
}

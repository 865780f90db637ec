import {
  hasOtherServers,
  mayReconnect,
  reconnectElsewhere,
  AckWriter,
  JetStreamApiError,
  QUORUM_CHECK_MS,
  QuorumWatch,
  StorageWatch,
  type Publisher,
  type JetStreamApi,
  type NatsConnectionLike,
} from '@loopstack/jetstream';
import { retryUntilLeader } from '../topology/retry-until-leader.js';
import { schemaCheck, durableOf, leaseOf, pausedUntil, type DesiredConsumer } from '@loopstack/operations';
import type { WorkflowRunner } from '@loopstack/core';
import { LoopstackError, monotonicMs } from '@loopstack/shared';
import { Logger } from '@nestjs/common';
import { hostname } from 'node:os';
import { CanceledRuns } from './canceled-runs.js';
import { DeadLetterWriter } from './dead-letter-writer.js';
import { DueKeeper } from '../upkeep/due-keeper.js';
import { HandOver, releasesOf, type HandedOver } from '../topology/hand-over.js';
import { Alarms } from '../health/health.js';
import { Lane, type ConsumerState } from './lane.js';
import { LeaseKeeper, keepLeases, maxBlockedMs } from '../leases/lease-keeper.js';
import type { ResolvedNatsOptions } from '../options.js';
import { logPause } from '../upkeep/log-pause.js';
import { RetentionKeeper } from '../upkeep/retention-keeper.js';
import { RunEvents } from './run-events.js';
import { Settler } from './settler.js';
import { UnroutableCommands } from '../upkeep/unroutable-commands.js';
import type { EnsuredConsumer, Topology } from '../topology/topology.js';
import { UnservedCommandKeeper, type TrustOf } from '../upkeep/unserved.js';
import { CrashIsolationGate } from './crash-isolation-gate.js';
import { WorkflowConsumer } from './workflow-consumer.js';

const TICK_MS = 100;
/** A tick that is this late means that the event loop was blocked, or the process frozen. */
const BEHIND_MS = 300;
/** How long JetStream may leave a question unanswered, and a server its consumers unrestored before another server is tried. */
const PROBE_MS = 2000;
const MOVE_AFTER_MS = 3000;
/**
 * A server that was killed has forgotten its last deliveries. After it, workers record first what they have run, and take no command for so
 * long: what is delivered again has its outcome in its history then.
 */
const REST_MS = 1000;
/** Between attempts to learn what a consumer may have forgotten. */
const AGAIN_MS = 1000;
/** Longest wait for the server to have read the last answers of a worker that stops. */
const FLUSH_MS = 2000;
/** A pull that waits is made anew after this; its death is seen by its heartbeat long before. */
const PULL_EXPIRES_MS = 30_000;

/** Between looks for commands that no consumer sees, and between trims of executed commands. */
const SWEEP_MS = 5000;
const TRIM_MS = 60_000;
/** Between looks whether the stream of commands can be written. */
const STORAGE_MS = 10_000;
/** Between looks at the durables, which somebody else may change under a worker. */
const LOOK_MS = 60_000;

/** What a lane holds is asked for again after this, also where nothing has arrived. */
const ASK_AGAIN_MS = 30_000;

/** For how long a message that is no event, on the subject of a run, makes readiness red. */
const STRANGE_MS = 5 * 60_000;

/** How the worker stands; what health and diagnosis read. */
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
  /** Until when somebody has paused it, or one of its lanes. */
  readonly pausedUntil: string | undefined;
}

/** Consumes the workflows of this process until it is stopped. */
export class Worker {
  readonly #logger = new Logger(Worker.name);
  readonly #consumers: WorkflowConsumer[] = [];
  readonly #events: RunEvents;
  readonly #deadLetters: DeadLetterWriter;
  readonly #leases = new LeaseKeeper();
  readonly #answers: AckWriter;
  #connected = true;
  readonly #canceled: CanceledRuns;
  readonly #name = `${hostname()}:${process.pid}`;
  #tick: NodeJS.Timeout | undefined;
  #tickedAtMs = 0;
  #behindSinceMs: number | undefined;
  #chores: NodeJS.Timeout[] = [];
  #running = false;
  #repairing = false;
  /** When the consumers that are being restored began to fail. */
  #failingSinceMs: number | undefined;
  /** Counts connections. */
  #connection = 0;
  /** Of the last one: every process of a server has its own. */
  #serverId: string | undefined;
  #started: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;

  constructor(
    private readonly nc: NatsConnectionLike,
    private readonly api: JetStreamApi,
    private readonly topology: Topology,
    private readonly options: ResolvedNatsOptions,
    private readonly publisher: Publisher,
    readonly alarms: Alarms,
  ) {
    this.#answers = new AckWriter(nc);
    this.#events = new RunEvents(
      api,
      this.publisher,
      options.names,
      options.publishTimeoutMs,
      () => void this.#repair(),
      (reason) => this.alarms.tell('strange-events', STRANGE_MS, reason),
    );
    this.#deadLetters = new DeadLetterWriter(nc, this.publisher, options.names, () => void this.#repair());
    this.#canceled = new CanceledRuns(api, options.names, ({ workspace, workflow }, runIds) => {
      for (const consumer of this.#consumers) {
        const { entry } = consumer.runner;
        if (entry.workspace === workspace && entry.workflow === workflow) void consumer.cancel(runIds);
      }
    });
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
    const starting = (): boolean => this.#stopped === undefined;
    const served = runners.map(({ entry }) => entry);
    await this.#canceled.start(this.nc, served, starting);
    const suspects = new CrashIsolationGate();
    const releases = releasesOf(this.api, this.options.names);
    const checkSchema = schemaCheck({ warn: (text) => new Logger('Catalogue').warn(text) });
    const { runs } = this.options.names.streams;
    const problems: string[] = [];
    for (const runner of runners) {
      if (this.#stopped) return;
      const handOver = new HandOver(runner, releases, checkSchema);
      const settler = new Settler(runner.entry, runs, this.#name, this.#events, this.#deadLetters, this.alarms, handOver);
      const consumer = new WorkflowConsumer(runner, settler, this.#events, this.#canceled, suspects);
      const lanes: Lane[] = [];
      const { leaseMs: wantedMs, priorities } = runner.entry.options;
      const wanted = { address: runner.entry, leaseMs: wantedMs, lanes: priorities };
      const { consumers, sharedUntilMs } = await retryUntilLeader(() => this.topology.consumersOf(wanted), starting);
      for (const desired of consumers) {
        try {
          const standing = await retryUntilLeader(() => this.topology.ensureConsumer(desired), starting);
          const lane = this.#lane(desired, consumer);
          this.#applyState(lane, standing);
          // What was stored before its consumer was made may have been delivered by one that is gone.
          lane.doubtUntil(Math.max(standing.createdMs, sharedUntilMs));
          lanes.push(lane);
        } catch (error) {
          if (!(error instanceof LoopstackError)) throw error;
          problems.push(`${error.message}. ${error.fix}`);
        }
      }
      consumer.lanes = lanes;
      this.#consumers.push(consumer);
    }
    if (problems.length > 0) throw new LoopstackError('BOOT_FAILED', { problems: problems.join('; ') });
    if (runners.length > 0) {
      const leases = this.#lanes().map(({ leaseMs }) => leaseMs);
      await this.#leases.start(this.options, Math.min(...leases), maxBlockedMs(this.options, Math.max(...leases)));
    }
    if (this.#stopped) return;
    this.#running = true;
    this.#serverId = this.nc.info?.server_id;
    this.#tickedAtMs = monotonicMs();
    this.#tick = setInterval(() => this.#ticked(), TICK_MS);
    for (const lane of this.#lanes()) lane.loop.start();
    this.#startChores(runners, trustOf);
    this.#logger.log(`${this.#name} consumes ${runners.length} workflow${runners.length === 1 ? '' : 's'}`);
  }

  state(): WorkerState {
    const now = monotonicMs();
    const silentMs = 5 * this.options.heartbeatMs;
    return {
      running: this.#running,
      workflows: this.#consumers.map((consumer) => {
        const { workspace, workflow } = consumer.runner.entry;
        return {
          workspace,
          workflow,
          active: consumer.active,
          handedOver: consumer.settler.handOver.shown,
          waiting: consumer.lanes.reduce((sum, lane) => sum + lane.waiting, 0),
          pending: consumer.lanes.reduce((sum, lane) => sum + lane.pending, 0),
          lastSettledMs: Math.max(...consumer.lanes.map((lane) => lane.lastSettledMs)),
          consuming: consumer.lanes.every(
            (lane) => !lane.loop.restoring && (lane.loop.outstanding === 0 || now - lane.loop.heardAtMs < silentMs),
          ),
          refusal: consumer.lanes.find((lane) => lane.loop.refusal !== undefined)?.loop.refusal,
          pausedUntil: consumer.lanes.find((lane) => lane.pausedUntil !== undefined)?.pausedUntil,
        };
      }),
    };
  }

  /**
   * Asks the server what is queued behind what was delivered: counts from deliveries grow old where a stream is purged or
   * nothing is delivered. Per workflow with queued runs the time at which the oldest was published.
   *
   * @throws JetStreamApiError
   */
  async queuedSince(): Promise<ReadonlyMap<string, number>> {
    const found = new Map<string, number>();
    const now = monotonicMs();
    const look = async ({ runner, lanes }: WorkflowConsumer): Promise<void> => {
      const oldest = await Promise.all(lanes.map((lane) => this.#queuedSince(lane, now)));
      const times = oldest.filter((time) => time !== undefined);
      if (times.length > 0) found.set(`${runner.entry.workspace}.${runner.entry.workflow}`, Math.min(...times));
    };
    await Promise.all(this.#consumers.map(look));
    return found;
  }

  async #queuedSince(lane: Lane, now: number): Promise<number | undefined> {
    const { waitingSinceMs, desired } = lane;
    if (lane.pending === 0 && lane.pausedUntil === undefined && now - lane.pendingAskedMs < ASK_AGAIN_MS) return waitingSinceMs;
    const { runs } = this.options.names.streams;
    const info = await this.api.consumerInfo(runs, lane.target.durable);
    const { num_pending: pending, delivered, config } = info;
    this.#applyState(lane, { leaseMs: leaseOf(config), pausedUntil: pausedUntil(info) });
    lane.pending = pending;
    lane.pendingAskedMs = now;
    if (waitingSinceMs !== undefined || pending === 0) return waitingSinceMs;
    const subjects = desired.priorities.map((priority) => this.options.names.run(desired.address, priority));
    const next = await Promise.all(subjects.map((subject) => this.api.next(runs, subject, delivered.stream_seq + 1)));
    return Math.min(...next.map((message) => message?.timeMs ?? this.api.clock.nowMs()));
  }

  /** After a reconnect: pulls are asked for anew, and cancels that were missed are read. */
  reconnected(): void {
    this.#connected = true;
    this.#connection++;
    this.#failingSinceMs = undefined;
    // Nothing that was on its way over the old connection arrives any more.
    this.#behindSinceMs = undefined;
    const restarted = this.#serverId !== this.nc.info?.server_id;
    this.#serverId = this.nc.info?.server_id;
    for (const lane of this.#lanes()) {
      // A server that was killed has forgotten some of the last acknowledgements.
      lane.doubt();
      lane.loop.reconnected(restarted ? REST_MS : 0);
    }
    const load = retryUntilLeader(
      () => this.#canceled.load(),
      () => this.#running,
    );
    void load.catch((error: Error) => this.#logger.warn(`Canceled runs could not be read: ${error.message}`));
  }

  /** Leases cannot be renewed now, and run out. */
  disconnected(): void {
    this.#connected = false;
  }

  /** Stops pulling, gives back what waits, lets running workflows finish within the grace period. */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#stop());
  }

  async #stop(): Promise<void> {
    await this.#started?.catch(() => undefined);
    if (!this.#running) {
      this.#leases.stop();
      this.#canceled.stop();
      return;
    }
    this.#running = false;
    const active = this.#consumers.reduce((sum, consumer) => sum + consumer.active, 0);
    if (active > 0) this.#logger.log(`Stopping: ${active} runs finish within ${this.options.shutdownGraceMs} ms`);
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => (timer = setTimeout(resolve, this.options.shutdownGraceMs)));
    await Promise.all(this.#consumers.map((consumer) => consumer.stop(deadline)));
    clearTimeout(timer);
    clearInterval(this.#tick);
    for (const chore of this.#chores) clearInterval(chore);
    this.#leases.stop();
    this.#canceled.stop();
    await this.#flushed();
  }

  /** Whether the server has read all that was written to it; false also where nobody is there to read. */
  async #flushed(): Promise<boolean> {
    if (this.nc.isClosed() || !this.#connected) return false;
    this.#answers.flush();
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise<boolean>((resolve) => (timer = setTimeout(resolve, FLUSH_MS, false)));
    const answered = await Promise.race([
      this.nc.flush().then(
        () => true,
        () => false,
      ),
      enough,
    ]);
    clearTimeout(timer);
    return answered;
  }

  /** What any worker does for all of them, now and then. */
  #startChores(runners: readonly WorkflowRunner[], trustOf: TrustOf): void {
    const { names, runs, provision } = this.options;
    const bounds = { afterMs: runs.unservedAfterMs, keepMs: runs.keepExecutedMs, trustOf };
    const unserved = new UnservedCommandKeeper(this.api, this.#events, this.#deadLetters, names, bounds);
    const unroutable = new UnroutableCommands(this.api, this.#deadLetters, names, this.alarms, unserved);
    const retention = new RetentionKeeper(this.api, names, runs.keepExecutedMs);
    const workflows = runners.map(({ entry }) => entry);
    const chore = (everyMs: number, name: string, work: () => Promise<unknown>): void => {
      let busy = false;
      const timer = setInterval(() => {
        if (busy || !this.#connected || !this.#running) return;
        busy = true;
        void work()
          .catch((error: Error) => this.#logger.warn(`${name}: ${error.message}`))
          .finally(() => (busy = false));
      }, everyMs);
      timer.unref();
      this.#chores.push(timer);
    };
    // Once at the start, too: until a worker pulls, another one may shorten the lease that it has read.
    void this.#lookAtConsumers().catch((error: Error) => this.#logger.warn(`Consumers could not be looked at: ${error.message}`));
    const majority = new QuorumWatch(this.api, names.streams.runs);
    chore(QUORUM_CHECK_MS, 'The servers could not be watched', async () => {
      if ((await majority.isCutOff()) && this.#running) await this.#moveOn();
    });
    chore(LOOK_MS, 'Consumers could not be looked at', () => this.#lookAtConsumers());
    if (!provision) return;
    const storage = new StorageWatch(this.api, this.publisher, names);
    chore(STORAGE_MS, 'Storage could not be looked at', () => storage.look());
    chore(SWEEP_MS, 'UnroutableCommands could not be looked for', () => unroutable.sweep());
    const trimMs = Math.min(TRIM_MS, Math.max(1000, runs.keepExecutedMs));
    const due = new DueKeeper(this.api, names, trimMs / 2);
    chore(trimMs, 'Executed commands could not be trimmed', () => retention.trim(workflows));
    chore(trimMs, 'Due commands could not be trimmed', () => due.trim());
  }

  /** Durables are as they are wanted, or an alarm says why not; leases are renewed by what they have. */
  async #lookAtConsumers(): Promise<void> {
    for (const lane of this.#lanes()) {
      // Whoever restores it does the same.
      if (lane.loop.restoring || !this.#running) continue;
      const alarm = `consumer:${lane.target.durable}`;
      try {
        this.#applyState(lane, await this.topology.ensureConsumer(lane.desired));
        this.alarms.clear(alarm);
      } catch (error) {
        if (!(error instanceof LoopstackError)) throw error;
        this.alarms.raise(alarm, `consumer ${lane.target.durable} is not as it should be: ${error.message}`);
      }
    }
  }

  /** What a durable was found to be. */
  #applyState(lane: Lane, { leaseMs, pausedUntil: until }: Pick<EnsuredConsumer, 'leaseMs' | 'pausedUntil'>): void {
    lane.leaseMs = leaseMs;
    if (lane.pausedUntil === until) return;
    lane.pausedUntil = until;
    if (until === undefined) lane.lastSettledMs = monotonicMs();
    logPause(this.#logger, lane.target, until);
  }

  #lanes(): readonly Lane[] {
    return this.#consumers.flatMap((consumer) => consumer.lanes);
  }

  #lane(desired: DesiredConsumer, consumer: WorkflowConsumer): Lane {
    const { names, heartbeatMs } = this.options;
    const target = { stream: names.streams.runs, durable: durableOf(names, desired) };
    const pull = { apiPrefix: this.api.prefix, heartbeatMs, expiresMs: PULL_EXPIRES_MS };
    return new Lane(this.nc, this.#answers, desired, target, pull, consumer, this.#leases.table, {
      onItsWaySince: (nowMs) => this.#onItsWaySince(nowMs),
      restore: (reason) => this.#restore(desired, target.durable, reason),
      doubt: () => this.#doubt(target.durable),
    });
  }

  /** While the event loop is behind, what arrives may have waited for as long: until the server answers what is asked now. */
  #onItsWaySince(nowMs: number): number {
    if (this.#behindSinceMs === undefined && nowMs - this.#tickedAtMs > BEHIND_MS) {
      this.#behindSinceMs = this.#tickedAtMs;
      const caughtUp = (): void => (this.#behindSinceMs = undefined);
      this.nc.flush().then(caughtUp, caughtUp);
    }
    return this.#behindSinceMs ?? nowMs;
  }

  async #doubt(durable: string): Promise<ConsumerState | undefined> {
    const { runs } = this.options.names.streams;
    for (;;) {
      try {
        const [{ state }, { created, config }] = await Promise.all([this.api.streamInfo(runs), this.api.consumerInfo(runs, durable)]);
        return { untilMs: Math.max(Date.parse(state.last_ts), Date.parse(created)), leaseMs: leaseOf(config) };
      } catch {
        if (!this.#running || this.nc.isClosed()) return undefined;
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
    }
  }

  /** A stream that is written to is gone or does not answer: made sure of until it is there, and an alarm meanwhile. */
  async #repair(): Promise<void> {
    if (this.#repairing) return;
    this.#repairing = true;
    while (this.#running && !this.nc.isClosed()) {
      try {
        await this.topology.ensureStreams();
        this.alarms.clear('streams');
        break;
      } catch (error) {
        this.alarms.raise('streams', `runs cannot be recorded: ${(error as Error).message}`);
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
    }
    this.#repairing = false;
  }

  async #restore(desired: DesiredConsumer, durable: string, reason: string): Promise<boolean> {
    const alarm = `consumer:${durable}`;
    const connection = this.#connection;
    if (this.nc.isClosed()) return false;
    const sinceMs = (this.#failingSinceMs ??= monotonicMs());
    try {
      await this.api.probe(this.options.names.streams.runs, durable, PROBE_MS);
      await this.topology.ensureConsumer(desired).catch(async () => {
        await this.topology.ensureStreams();
        return this.topology.ensureConsumer(desired);
      });
      this.#failingSinceMs = undefined;
      this.alarms.clear(alarm);
      this.#logger.warn(`Consumer ${durable} is pulled from again (${reason})`);
      return true;
    } catch (error) {
      // What was asked over an old connection says nothing of the new one.
      if (connection !== this.#connection) return false;
      this.alarms.raise(alarm, `consumer ${durable} is not consumed: ${(error as Error).message}`);
      if (error instanceof JetStreamApiError && monotonicMs() - sinceMs > MOVE_AFTER_MS) void this.#moveOn();
      return false;
    }
  }

  /** A server that is cut off from the others still talks to its clients: it is left for another one. A connection that is dead is made anew. */
  async #moveOn(): Promise<void> {
    this.#failingSinceMs = undefined;
    // One that the application made itself stays where it is, as long as it is alive.
    const stays = this.options.connection !== undefined || !hasOtherServers(this.nc);
    if (!this.#connected || !mayReconnect(this.nc) || (stays && (await this.#flushed()))) return;
    this.#logger.warn(`JetStream does not answer at ${this.nc.getServer()}; the connection is made anew`);
    await reconnectElsewhere(this.nc);
  }

  #ticked(): void {
    const now = monotonicMs();
    this.#onItsWaySince(now);
    const late = now - this.#tickedAtMs > TICK_MS + this.options.heartbeatMs;
    this.#tickedAtMs = now;
    this.#leases.table.beat(now);
    for (const consumer of this.#consumers) {
      for (const lane of consumer.lanes) {
        lane.tick(now);
        keepLeases(lane.leases, lane.leaseMs, now, this.#connected, (message) => {
          // What has ended is being recorded: whether it stands is for the fence to say, also without the lease.
          if (message.execution) message.execution.abort('lease-lost');
          else lane.drop(message);
        });
        lane.loop.check(now, late);
      }
    }
  }
}

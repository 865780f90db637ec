import type { LoopstackClient, ClientOptions } from '@loopstack/client';
import type { NatsOptions } from '@loopstack/nats';
import type { LoopstackOptions } from '@loopstack/core';
import { jest } from '@jest/globals';
import { HEADER, type RunEvent, type RunHandle } from '@loopstack/shared';
import type { ConsumerInfo, JetStreamManager, NatsConnection } from 'nats';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BreakableCluster } from './breakable-cluster.js';
import { FakeClock } from './fake-clock.js';
import { Harness, using, type Per, type ServerOptions } from './harness.js';
import { Journal } from './journal.js';
import { balance, readEvents, readStream, type Balance, type Stored } from './measure.js';
import { until } from '../until.js';
import { unsettledOf } from '../unsettled.js';
import { ProducerProcess, type ProducerConnection } from './producer-process.js';
import { WorkerProcess } from './worker-process.js';
import type { Job } from './worker/behaviour.js';
import type { PlannedWorkflow } from './worker/program.js';

export { Proxy } from './proxy.js';
export { held } from './measure.js';
export { expectNothingFor, timed, until } from '../until.js';

/** The long form has the full numbers, the short one fits into `npm test`. */
const LONG = process.env['LOOPSTACK_FAULTS'] === 'long';

// Worker processes take their time to start on a machine that is busy with other tests.
jest.setTimeout(LONG ? 900_000 : 120_000);

/** A number of the long form, and what it is in the short one. */
export const scaled = (long: number, short: number): number => (LONG ? long : short);

export interface RigOptions {
  readonly workflows?: readonly PlannedWorkflow[];
  /** Options of every worker; `servers` is set. */
  readonly nats?: Omit<NatsOptions, 'connection'>;
  readonly server?: ServerOptions;
  /** A cluster of three instead of one server. */
  readonly cluster?: boolean;
}

export interface Published {
  readonly workflow?: string;
  readonly workspace?: string;
  readonly job?: Job | Readonly<Record<string, unknown>>;
}

export const WORKSPACE = 'Rig';
export const STREAMS = { runs: 'LOOPSTACK_RUNS', events: 'LOOPSTACK_EVENTS', dead: 'LOOPSTACK_DEAD' } as const;

/** The usual workflow of a case: leases of a second, so that what is lost comes back soon. */
export const JOB: PlannedWorkflow = {
  workspace: WORKSPACE,
  name: 'Job',
  options: { lease: '1s', retry: { attempts: 3, delay: '100ms' }, concurrency: 16 },
};

/** A server or a cluster, workers, a producer, and the journal: what a case needs, and nothing left behind. */
export class Rig extends Harness {
  home = '';
  journal!: Journal;
  /** A connection of the test's own, past every proxy. */
  nc!: NatsConnection;
  jsm!: JetStreamManager;
  /** Ids of runs whose publish was acknowledged. */
  readonly acked: string[] = [];
  readonly #workers: WorkerProcess[] = [];
  #cluster: BreakableCluster | undefined;
  #producer: Promise<LoopstackClient> | undefined;
  #gates = 0;
  #started = 0;

  private constructor(private readonly options: RigOptions) {
    super();
  }

  static start(options: RigOptions = {}): Promise<Rig> {
    const rig = new Rig(options);
    return rig.after(rig.#begin());
  }

  /** A rig for the tests of the file or of the `describe` that calls this. */
  static use(per: Per, options: RigOptions = {}): Rig {
    const rig = new Rig(options);
    return using(per, rig, () => rig.#begin());
  }

  async #begin(): Promise<void> {
    this.acked.length = 0;
    this.#workers.length = 0;
    this.#producer = undefined;
    this.home = await this.makeFolder('faults');
    this.journal = new Journal(join(this.home, 'journal'));
    if (this.options.cluster) this.#cluster = await this.startCluster(BreakableCluster.start());
    else await this.startServer(this.options.server);
    this.nc = await this.connect(admin(this.options));
    this.jsm = await this.nc.jetstreamManager({ checkAPI: false });
  }

  get cluster(): BreakableCluster {
    if (!this.#cluster) throw new Error('this rig has one server');
    return this.#cluster;
  }

  /** Starts a worker; resolves when it consumes. */
  async worker(
    nats: NatsOptions = {},
    workflows = this.options.workflows ?? [JOB],
    wrapper: readonly string[] = [],
    loopstack: LoopstackOptions = {},
  ): Promise<WorkerProcess> {
    const plan = { journal: this.journal.file, nats: { servers: this.url, ...this.options.nats, ...nats }, workflows, loopstack };
    const starting = WorkerProcess.start(plan, join(this.home, `worker-${++this.#started}.log`), wrapper);
    const worker = await this.track('users', starting, (one) => one.end());
    this.#workers.push(worker);
    return worker;
  }

  /** A wall clock for a worker or a producer, as far ahead (`+1h`) or behind (`-1h`) as said. */
  clock(offset?: string): Promise<FakeClock> {
    return FakeClock.create(this.home, offset);
  }

  /** A producer in a process of its own, with that clock. */
  producerWith(clock: FakeClock, connection: ProducerConnection = admin(this.options)): Promise<ProducerProcess> {
    return this.track('users', ProducerProcess.start({ servers: this.url, ...connection }, clock), (producer) => producer.end());
  }

  /** A producer with a connection of its own. */
  producer(options: ClientOptions & { readonly servers?: string; readonly noRandomize?: boolean } = {}): Promise<LoopstackClient> {
    const { servers = this.url, ...rest } = options;
    return this.connectClient({ servers: servers.split(','), reconnectTimeWait: 50, ...admin(this.options), ...rest });
  }

  /** Starts a run, and counts it as acknowledged when it is. */
  async run(
    { workflow = 'Job', workspace = WORKSPACE, job = {} }: Published = {},
    options?: Parameters<LoopstackClient['run']>[4],
  ): Promise<RunHandle> {
    const client = await (this.#producer ??= this.producer());
    const handle = await client.run(workflow, workspace, job, 'u1', options);
    this.acked.push(handle.id);
    return handle;
  }

  async runs(count: number, published: Published = {}): Promise<RunHandle[]> {
    return Promise.all(Array.from({ length: count }, () => this.run(published)));
  }

  /** Path of a file for which jobs wait, and the function that makes it. */
  gate(): { readonly path: string; readonly open: () => Promise<void> } {
    const path = join(this.home, `gate-${++this.#gates}`);
    return { path, open: () => writeFile(path, '') };
  }

  consumer(workflow = 'Job', workspace = WORKSPACE): Promise<ConsumerInfo> {
    return this.jsm.consumers.info(STREAMS.runs, `${workspace}~${workflow}`);
  }

  /** Resolves when each consumer of the runs stream has nothing that is queued or not settled. */
  async settled(deadlineMs = 30_000): Promise<void> {
    await until('everything is settled', async () => (await this.queued()) === 0, deadlineMs).catch(async (error: Error) => {
      throw new Error(`${error.message}: ${await this.queued()} are left\n${this.logs()}`, { cause: error });
    });
  }

  /** Commands that are queued or not settled. */
  async queued(): Promise<number> {
    return unsettledOf(this.jsm, STREAMS.runs);
  }

  async deadLetters(): Promise<readonly Stored[]> {
    return readStream(this.nc, STREAMS.dead);
  }

  async events(): Promise<ReadonlyMap<string, readonly RunEvent[]>> {
    return readEvents(this.nc, STREAMS.events);
  }

  async eventsOf(runId: string): Promise<readonly RunEvent[]> {
    return (await this.events()).get(runId) ?? [];
  }

  /** Z and E1 of everything that happened so far. */
  async balance(acked: Iterable<string> = this.acked): Promise<Balance> {
    const dead = new Set((await this.deadLetters()).map((letter) => letter.header(HEADER.RUN_ID) ?? ''));
    return balance(acked, this.journal.effects(), dead, await this.events(), await this.queued());
  }

  /** The last lines that each worker printed, for the error of a case that fails. */
  logs(): string {
    return this.#workers.map((worker) => `worker ${worker.pid}: …${worker.log().slice(-1500)}`).join('\n');
  }
}

/** Servers whose configuration has accounts let the user `admin` do everything. */
function admin({ server }: RigOptions): { user?: string; pass?: string } {
  return server?.config?.includes('user: admin') ? { user: 'admin', pass: 'admin' } : {};
}

import {
  assertAddress,
  assertName,
  type Priority,
  type RunAddress,
  type RunFilter,
  type RunHandle,
  type RunInfo,
  type RunItem,
  type RunManyOptions,
  type RunManyReport,
  type RunAndWaitOptions,
  type RunOptions,
  type RunReference,
  type Schedule,
  isTimed,
  prepareCommand,
  runMany,
  type PreparedCommand,
  type BulkListener,
} from '@loopstack/shared/contract';
import type { ConnectionOptions } from 'nats';
import {
  dial,
  dialOptions,
  dialPatiently,
  failover,
  requireSupportedServer,
  serverHas,
  steadyDials,
  FastIngest,
  Publisher,
  ServerClock,
  guardParser,
  JetStreamApi,
  StreamReader,
  type NatsConnectionLike,
} from '@loopstack/jetstream';
import { Catalogue } from './catalogue/catalogue.js';
import { encodeCommand, type EncodedCommand } from './start/command.js';
import { fanOut } from './start/fan-out.js';
import { StoredRun, type RunOperations } from './start/handle.js';
import { KeyedRuns } from './start/keyed-run.js';
import { resolveClientOptions, type ClientOptions, type ResolvedClientOptions } from './options.js';
import { RunEvents } from './runs/run-events.js';
import { RunList } from './runs/run-list.js';
import { RunState, runOf } from './runs/run-state.js';
import { Schedules } from './start/schedules.js';
import { StoredCommands } from './runs/stored-command.js';

/** The client library's own two minutes notice a dead connection after six. */
const PING_MS = 10_000;

const RETRY_BULK_MS = 10_000;

/** Starts runs and asks for them, on a NATS connection. */
export class LoopstackClient {
  readonly #nc: NatsConnectionLike;
  readonly #options: ResolvedClientOptions;
  readonly #publisher: Publisher;
  readonly #events: RunEvents;
  readonly #keyed: KeyedRuns;
  readonly #state: RunState;
  readonly #list: RunList;
  readonly #operations: RunOperations;
  readonly schedules: Schedules;
  /** The workflows that workers serve. */
  readonly catalogue: Catalogue;
  /** The server's clock, which deadlines and schedules go by. */
  readonly clock: ServerClock;
  #ownsConnection = false;
  /** When bulk writing, which was not possible or not faster, is tried again. */
  #bulkAgainAt = 0;

  /**
   * @param nc a connection that the service already has, of `nats` 2 or `@nats-io/transport-node` 3; it stays the service's: `close()` does not close it
   * @throws LoopstackError NAME_INVALID, OPTION_INVALID, SERVER_TOO_OLD
   */
  constructor(nc: NatsConnectionLike, options: ClientOptions = {}) {
    this.#nc = nc;
    requireSupportedServer(nc);
    guardParser(nc);
    steadyDials(nc);
    const { api, names } = resolveClientOptions(options);
    this.clock = ServerClock.of(nc, { api, stream: names.streams.runs });
    this.#options = resolveClientOptions(options, this.clock);
    const { maxInFlight, publishTimeoutMs, whileDisconnected, groupCommit, requestTimeoutMs } = this.#options;
    this.#publisher = new Publisher(nc, {
      maxInFlight,
      timeoutMs: publishTimeoutMs,
      whileDisconnected,
      groupCommit,
      onUnanswered: options.failover ? () => void failover(nc) : undefined,
      domain: options.domain,
      sign: options.sign,
    });
    const reader = new StreamReader(new JetStreamApi(nc, options.domain, requestTimeoutMs));
    const commands = new StoredCommands(this.#options, reader);
    this.#events = new RunEvents(nc, this.#options, reader);
    this.#keyed = new KeyedRuns(this.#options, this.#publisher, this.#events, commands);
    this.#state = new RunState(this.#options, reader, this.#publisher, commands);
    this.#list = new RunList(this.#options, reader, commands);
    this.catalogue = new Catalogue(this.#options, reader);
    this.schedules = new Schedules(this.#options, this.#publisher, reader);
    this.#operations = {
      result: (address, runId, wait) => this.#events.result(address, runId, wait),
      events: (address, runId, wait) => this.#events.history(address, runId, wait),
      get: (runId, address, sequence) => this.#state.get(runId, address, sequence),
      cancel: (runId, address, sequence) => this.#state.cancel(runId, address, sequence),
    };
  }

  /**
   * Connects, from then on reconnects for ever, and owns the connection: `close()` closes it. `servers` may have credentials: `nats://user:password@host`.
   * @throws LoopstackError CONNECTION_FAILED, unless `waitOnFirstConnect` waits for a server; CONNECTION_DENIED, SERVERS_INVALID, SERVER_TOO_OLD
   */
  static async connect(options: ClientOptions & ConnectionOptions = {}): Promise<LoopstackClient> {
    resolveClientOptions(options);
    const { port = 4222, ...given } = options;
    // A stack trace for each request would cost more than the request.
    const library = { maxReconnectAttempts: -1, noAsyncTraces: true, pingInterval: PING_MS, ...given };
    const how = dialOptions(options.servers ?? `nats://127.0.0.1:${port}`, library);
    const nc = await (options.waitOnFirstConnect
      ? dialPatiently(how, (waiting) => process.emitWarning(waiting, 'LoopstackWarning'))
      : dial(how));
    const client = new LoopstackClient(nc, { failover: true, ...options });
    client.#ownsConnection = true;
    await client.clock.settled();
    return client;
  }

  /**
   * Starts a run. Resolves when the server has stored the command.
   * @throws LoopstackError NAME_INVALID, USER_MISSING, PAYLOAD_UNSERIALIZABLE, PAYLOAD_TOO_LARGE, OPTION_INVALID,
   *   KEY_CONFLICT, STREAM_FULL, PUBLISH_TIMEOUT, PUBLISH_UNAVAILABLE, PUBLISH_REFUSED, CLOSED
   */
  run<Result = unknown>(
    workflow: string,
    workspace: string,
    payload: unknown,
    userId: string,
    options?: RunOptions,
  ): Promise<RunHandle<Result>> {
    if (this.clock.isSettled || !isTimed(this.#options, options)) return this.#run(workflow, workspace, payload, userId, options);
    return this.clock.settled().then(() => this.#run(workflow, workspace, payload, userId, options));
  }

  #run<Result>(
    workflow: string,
    workspace: string,
    payload: unknown,
    userId: string,
    options: RunOptions | undefined,
  ): Promise<RunHandle<Result>> {
    try {
      const command = prepareCommand(this.#options, workflow, workspace, payload, userId, options);
      if (this.#options.checkCatalogue && (this.#options.checkSchema || !this.catalogue.knows(command))) {
        return this.catalogue.check(command, payload).then(() => this.#start<Result>(command, options));
      }
      return this.#start<Result>(command, options);
    } catch (error) {
      const reason: Error = error as Error;
      return Promise.reject(reason);
    }
  }

  #start<Result>(command: PreparedCommand, options: RunOptions | undefined): Promise<RunHandle<Result>> {
    const { workspace, workflow } = command;
    try {
      const run = new StoredRun<Result>(this.#operations, workspace, workflow, command.runId);
      if (command.keyed || command.dueMs !== undefined) return this.#runSpecial(command, run, options?.priority);
      return this.#store(command, run);
    } catch (error) {
      const reason: Error = error as Error;
      return Promise.reject(reason);
    }
  }

  /**
   * Refuses what the catalogue of workers does not have, and a payload that its schema refuses (with `checkSchema`).
   * @throws LoopstackError NAME_INVALID, WORKSPACE_UNKNOWN, WORKFLOW_UNKNOWN, PAYLOAD_INVALID
   */
  async check(address: RunAddress, payload: unknown): Promise<void> {
    assertAddress(address);
    return this.catalogue.check(address, payload);
  }

  /** `run` and `handle.result()` in one call; `options.timeout` (default 30 s) limits the wait for the result. */
  async runAndWait<Result = unknown>(
    workflow: string,
    workspace: string,
    payload: unknown,
    userId: string,
    options?: RunAndWaitOptions,
  ): Promise<Result> {
    const run = await this.run<Result>(workflow, workspace, payload, userId, options);
    return run.result(options);
  }

  /**
   * Starts a run for each item of a list or a stream, as many at once as `concurrency` says. Failures are reported by item.
   * @throws what the source throws
   */
  async runMany(items: Iterable<RunItem> | AsyncIterable<RunItem>, options?: RunManyOptions): Promise<RunManyReport> {
    await this.clock.settled();
    const { publishTimeoutMs } = this.#options;
    return runMany(
      items,
      {
        check: options?.check,
        start: ({ workflow, workspace, payload, userId, options: own }) => this.run(workflow, workspace, payload, userId, own),
        bulk: (item) => this.#bulk(item),
        ingest: (listener) => this.#ingest(listener),
        publish: (message) => this.#publisher.sendOne(message, publishTimeoutMs),
      },
      options,
    );
  }

  #ingest<T>(listener: BulkListener<T>): FastIngest<T> | undefined {
    if (!serverHas(this.#nc, 2, 14) || performance.now() < this.#bulkAgainAt) return undefined;
    const givenUp = (): void => {
      this.#bulkAgainAt = performance.now() + RETRY_BULK_MS;
    };
    return new FastIngest(this.#nc, this.#options.publishTimeoutMs, listener, givenUp);
  }

  /** Undefined for what needs an answer of its own: keys, delays, and what the catalogue must be asked about. */
  #bulk({ workflow, workspace, payload, userId, options }: RunItem): EncodedCommand | undefined {
    const alone = options?.idempotencyKey ?? options?.delay ?? options?.at;
    if (alone !== undefined || this.#options.checkCatalogue) return undefined;
    return encodeCommand(prepareCommand(this.#options, workflow, workspace, payload, userId, options));
  }

  /**
   * Starts 1 to 1,000 runs, all or none.
   * @throws LoopstackError BATCH_TOO_LARGE, BATCH_REJECTED (nothing was stored), SERVER_TOO_OLD (2.12), and as `run`
   */
  async fanOut(items: Iterable<RunItem>): Promise<RunHandle[]> {
    await this.clock.settled();
    return fanOut(this.#nc, this.#options, this.#publisher, this.#operations, items);
  }

  /** The handle of a run by its address and id. It sends no request, so the run may not exist. @throws LoopstackError NAME_INVALID */
  handle<Result = unknown>(address: RunAddress, runId: string): RunHandle<Result> {
    assertAddress(address);
    assertName('run id', runId);
    return new StoredRun<Result>(this.#operations, address.workspace, address.workflow, runId);
  }

  /**
   * The state of a run: one read for `{ workspace, workflow, id }` with an event. An id alone is looked up at every address, which costs a scan.
   * @throws LoopstackError RUN_UNKNOWN, RUN_AMBIGUOUS (an id alone, and several runs have it), NAME_INVALID
   */
  async get(run: string | RunReference, address?: RunAddress): Promise<RunInfo> {
    const { id, at } = runOf(run, address);
    return this.#state.get(id, at);
  }

  /** Runs, those that changed last first. Reads the ends of the streams, at most 200,000 messages of each. */
  list(filter?: RunFilter): Promise<RunInfo[]> {
    return this.#list.list(filter);
  }

  /**
   * Ends a run before its start, during it, or between its attempts: `cancel({ workspace, workflow, id })`, `cancel(handle)`.
   * @throws LoopstackError RUN_UNKNOWN, RUN_AMBIGUOUS (an id alone, and several runs have it), RUN_FINISHED, NAME_INVALID
   */
  async cancel(run: string | RunReference, address?: RunAddress): Promise<RunInfo> {
    const { id, at } = runOf(run, address);
    return this.#state.cancel(id, at);
  }

  /** Starts a run at each time of a recurrence: `schedule('daily', '0 0 9 * * *', …, { timeZone: 'Europe/Berlin' })`. */
  schedule(...args: Parameters<Schedules['put']>): Promise<Schedule> {
    return this.schedules.put(...args);
  }

  /** Waits for what is being published, then refuses and ends all waiting (CLOSED). Closes the connection if `connect()` made it. */
  async close(): Promise<void> {
    await this.#publisher.close();
    this.#events.close();
    if (this.#ownsConnection) await this.#nc.close();
  }

  /** Cheap on purpose: this is the path of every plain run. */
  #store<Result>(command: PreparedCommand, run: StoredRun<Result>): Promise<RunHandle<Result>> {
    const { subject, data, block } = encodeCommand(command);
    return this.#publisher.send<RunHandle<Result>>(subject, data, block, command.timeoutMs, run);
  }

  #runSpecial<Result>(command: PreparedCommand, run: StoredRun<Result>, priority: Priority | undefined): Promise<RunHandle<Result>> {
    const store = (): Promise<RunHandle<Result>> =>
      command.dueMs === undefined ? this.#store(command, run) : this.schedules.delay(command, priority, run);
    return command.keyed ? this.#keyed.run(command, run, store) : store();
  }
}

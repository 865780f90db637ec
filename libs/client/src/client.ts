import { HEADER, type Duration, type RunAddress, type RunEvent, type RunHandle, type RunOptions } from '@loopstack/shared/contract';
import { connect, type ConnectionOptions, type NatsConnection } from 'nats';
import { prepareCommand } from './command.js';
import { StoredRun, type RunDesk } from './handle.js';
import { headerBlock } from './header-block.js';
import { resolveClientOptions, type ClientOptions, type ResolvedClientOptions } from './options.js';
import { Publisher } from './publisher.js';
import { RunEvents } from './run-events.js';
import { StreamReader } from './stream-reader.js';

/** Starts runs and asks for them, on a NATS connection. */
export class LoopstackClient {
  readonly #nc: NatsConnection;
  readonly #options: ResolvedClientOptions;
  readonly #publisher: Publisher;
  readonly #events: RunEvents;
  readonly #desk: RunDesk;
  #ownsConnection = false;

  /**
   * @param nc a connection that the service already has; it stays the service's: `close()` does not close it
   * @throws LoopstackError NAME_INVALID, OPTION_INVALID
   */
  constructor(nc: NatsConnection, options: ClientOptions = {}) {
    this.#nc = nc;
    this.#options = resolveClientOptions(options);
    const { maxInFlight, publishTimeoutMs, whileDisconnected, api, requestTimeoutMs } = this.#options;
    this.#publisher = new Publisher(nc, { maxInFlight, timeoutMs: publishTimeoutMs, whileDisconnected });
    this.#events = new RunEvents(nc, this.#options, new StreamReader(nc, api, requestTimeoutMs));
    this.#desk = this.#openDesk();
  }

  /** Connects, reconnects for ever, and owns the connection: `close()` closes it. */
  static async connect(options: ClientOptions & ConnectionOptions = {}): Promise<LoopstackClient> {
    const nc = await connect({ maxReconnectAttempts: -1, ...options });
    const client = new LoopstackClient(nc, options);
    client.#ownsConnection = true;
    return client;
  }

  /**
   * Starts a run. Resolves when the server has stored the command.
   * @throws LoopstackError NAME_INVALID, USER_MISSING, PAYLOAD_UNSERIALIZABLE, PAYLOAD_TOO_LARGE, OPTION_INVALID,
   *   STREAM_FULL, PUBLISH_TIMEOUT, PUBLISH_UNAVAILABLE, PUBLISH_REFUSED, CLOSED
   */
  run<Result = unknown>(workflow: string, workspace: string, payload: unknown, userId: string, options?: RunOptions): Promise<RunHandle<Result>> {
    try {
      const command = prepareCommand(this.#options, workflow, workspace, payload, userId, options);
      const block = headerBlock(`${HEADER.MSG_ID}: ${command.messageId}\r\n${command.lines}`);
      const run = new StoredRun<Result>(this.#desk, workspace, workflow, command.runId);
      return this.#publisher.send<RunHandle<Result>>(command.subject, command.data, block, command.timeoutMs, true, run);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  /** `run` and `handle.result()` in one call; `options.resultTimeout` (default 30 s) bounds the second. */
  async runAndWait<Result = unknown>(
    workflow: string,
    workspace: string,
    payload: unknown,
    userId: string,
    options?: RunOptions & { readonly resultTimeout?: Duration; readonly signal?: AbortSignal },
  ): Promise<Result> {
    const run = await this.run<Result>(workflow, workspace, payload, userId, options);
    return run.result({ ...(options?.resultTimeout === undefined ? {} : { timeout: options.resultTimeout }), ...(options?.signal ? { signal: options.signal } : {}) });
  }

  /** The handle of a run that is known by its address and id. Asks nobody: the run may not exist. */
  handle<Result = unknown>(address: RunAddress, runId: string): RunHandle<Result> {
    return new StoredRun<Result>(this.#desk, address.workspace, address.workflow, runId);
  }

  /** Waits for what is being published, then refuses (CLOSED). Closes the connection if `connect()` made it. */
  async close(): Promise<void> {
    await this.#publisher.close();
    if (this.#ownsConnection) await this.#nc.close();
  }

  #openDesk(): RunDesk {
    return {
      result: (address, runId, options) => this.#events.result(address, runId, options),
      events: (address, runId, options): AsyncIterable<RunEvent> => this.#events.history(address, runId, options),
      get: () => Promise.reject(new Error('not yet')),
      cancel: () => Promise.reject(new Error('not yet')),
    };
  }
}

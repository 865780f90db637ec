import { RunGateway } from '@loopstack/core';
import {
  HEADER,
  contentOf,
  decodeRunCommand,
  decodeRunEvent,
  headersInLines,
  keyConflict,
  prepareBatchCommand,
  prepareCommand,
  runMany,
  type Headers,
  type PreparedCommand,
  type RunAddress,
  type RunFilter,
  type RunHandle,
  type RunInfo,
  type RunItem,
  type RunManyOptions,
  type RunManyReport,
  type RunReference,
} from '@loopstack/shared';
import type { MemoryBroker } from './memory-broker.js';
import { MemoryHandle, type RunReader } from './memory-handle.js';
import type { MemoryRuntime } from './memory-runtime.js';
import { standsBehind } from '../runtimes.js';

/** The port of the core on the in-memory broker. The first call starts the runtime, where the application has not been initialized. */
export class MemoryGateway extends RunGateway implements RunReader {
  readonly #broker: MemoryBroker;

  constructor(private readonly runtime: MemoryRuntime) {
    super();
    this.#broker = runtime.broker;
  }

  get schedules(): MemoryRuntime['schedules'] {
    return this.runtime.schedules;
  }

  async run<Result>(...args: Parameters<RunGateway['run']>): Promise<RunHandle<Result>> {
    await this.runtime.started();
    return this.#start<Result>(prepareCommand(this.#broker.producing, ...args));
  }

  async runMany(items: Iterable<RunItem> | AsyncIterable<RunItem>, options?: RunManyOptions): Promise<RunManyReport> {
    await this.runtime.started();
    return runMany<never>(
      items,
      {
        check: options?.check,
        start: ({ workflow, workspace, payload, userId, options: own }) => this.run(workflow, workspace, payload, userId, own),
        bulk: () => undefined,
        ingest: () => undefined,
        publish: () => Promise.resolve(),
      },
      options,
    );
  }

  async fanOut(items: Iterable<RunItem>): Promise<readonly RunHandle[]> {
    await this.runtime.started();
    const commands = [...items].map((item) => prepareBatchCommand(this.#broker.producing, item));
    for (const command of commands) this.#broker.assertFits(command.data, headersOf(command));
    this.#broker.assertRoom(this.#broker.runs, commands.length);
    return commands.map((command) => this.#start(command));
  }

  /** What no module of the test serves is accepted, as without a catalogue: its runs stay queued. */
  check(): Promise<void> {
    return Promise.resolve();
  }

  async get(run: string | RunReference): Promise<RunInfo> {
    await this.runtime.started();
    return this.runtime.state.get(this.runtime.state.find(run));
  }

  async list(filter: RunFilter = {}): Promise<readonly RunInfo[]> {
    await this.runtime.started();
    return this.runtime.state.list(filter);
  }

  async cancel(run: string | RunReference): Promise<RunInfo> {
    await this.runtime.started();
    return this.runtime.cancel(this.runtime.state.find(run));
  }

  result(...args: Parameters<RunReader['result']>): Promise<unknown> {
    return this.runtime.history.result(...args);
  }

  events(...args: Parameters<RunReader['events']>): ReturnType<RunReader['events']> {
    return this.runtime.history.events(...args);
  }

  #start<Result>(command: PreparedCommand): RunHandle<Result> {
    const content = command.keyed ? contentOf(decodeRunCommand(command.data)) : undefined;
    const taken = content === undefined ? undefined : this.#taken(command, content);
    if (taken !== undefined) return this.#handle(command, taken, true);
    const sequence = this.#store(command);
    if (content !== undefined) {
      // The claim of the key: before the worker looks, which it does in a later turn.
      const at = this.#broker.clock.isoNow();
      this.#broker.record(command, command.runId, {
        type: 'queued',
        at,
        attempt: 0,
        ...(sequence === 0 ? {} : { sequence }),
        content,
      });
    }
    return this.#handle(command, sequence, false);
  }

  /** @returns 0 for a delayed command */
  #store(command: PreparedCommand): number {
    const { dueMs, subject, data } = command;
    if (dueMs === undefined) return this.#broker.publish(this.#broker.runs, subject, data, headersOf(command)).sequence;
    this.runtime.schedules.delay(command, headersOf(command));
    return 0;
  }

  /** Where the command is that holds a key; undefined: none does. @throws LoopstackError KEY_CONFLICT */
  #taken(command: RunAddress & { readonly runId: string }, content: string): number | undefined {
    const history = this.#broker.history(command, command.runId).map(({ data }) => decodeRunEvent(data));
    const last = history.at(-1);
    if (!last) return undefined;
    const conflict = keyConflict(command.runId, history[0]?.content ?? last.content, content);
    if (conflict) throw conflict;
    return last.sequence ?? 0;
  }

  #handle<Result>({ workspace, workflow, runId, dueMs }: PreparedCommand, sequence: number, duplicate: boolean): RunHandle<Result> {
    const { runs, schedules } = this.#broker.options.names.streams;
    const stream = dueMs === undefined || duplicate ? runs : schedules;
    return standsBehind(this.runtime, new MemoryHandle<Result>(this, { workspace, workflow, id: runId }, { stream, sequence, duplicate }));
  }
}

/** Headers of a command as they are stored. */
function headersOf({ lines, messageId: id, dueMs }: PreparedCommand): Headers {
  const headers = headersInLines(lines);
  return dueMs === undefined ? { [HEADER.MSG_ID]: id, ...headers } : headers;
}

import {
  LoopstackError,
  assertAddress,
  assertName,
  encodeRunEvent,
  HEADER,
  type RunAddress,
  type RunInfo,
  type RunReference,
  queuedInfo,
  infoOf,
  cancellation,
} from '@loopstack/shared/contract';
import { ERR_CODE, requestFailure, type Publisher, type StreamReader } from '@loopstack/jetstream';
import type { ResolvedClientOptions } from '../options.js';
import { historyEnd, type FoundEnd } from './history-end.js';
import { RunAddresses } from './run-addresses.js';
import type { StoredCommands } from './stored-command.js';

/** Where the history of a run ends, and whose it is. */
type PlacedEnd = RunAddress & FoundEnd;

/** Races that a cancel may lose before it gives up; each means that a worker recorded something in between. */
const CANCEL_TRIES = 10;

/** What became of a run, and the end of it. */
export class RunState {
  readonly #options: ResolvedClientOptions;
  readonly #reader: StreamReader;
  readonly #publisher: Publisher;
  readonly #commands: StoredCommands;
  readonly #addresses: RunAddresses;
  /** Questions on their way: a thousand queued runs of a workflow ask once. */
  readonly #floors = new Map<string, Promise<number | undefined>>();

  constructor(options: ResolvedClientOptions, reader: StreamReader, publisher: Publisher, commands: StoredCommands) {
    this.#options = options;
    this.#reader = reader;
    this.#publisher = publisher;
    this.#commands = commands;
    this.#addresses = new RunAddresses(options, reader, commands, (command) => this.#settled(command, command.sequence));
  }

  /**
   * One read of the run's last event; a run without one is looked for among the commands, at `sequence` first. Without an address, that is looked for before.
   * @throws LoopstackError RUN_UNKNOWN, RUN_AMBIGUOUS, NAME_INVALID, STREAM_UNAVAILABLE
   */
  async get(runId: string, given?: RunAddress, hint = 0): Promise<RunInfo> {
    assertRun(runId, given);
    const { sequence, ...address } = given ? { ...addressOf(given), sequence: hint } : await this.#addresses.of(runId);
    const found = await this.#end(runId, address);
    if (found?.event) return this.#withCommand(infoOf(runId, { ...found, event: found.event }));
    const command = await this.#commands.find(runId, address, sequence).catch((error: unknown) => {
      if (address === undefined || sequence === 0 || !isUnasked(error)) throw error;
      // A tenant may read no commands. One that was acknowledged, and has no event, waits.
      return { workspace: address.workspace, workflow: address.workflow, id: runId, status: 'queued', attempt: 0, sequence } as const;
    });
    if (command && 'status' in command) return command;
    if (command && !(await this.#settled(command, command.sequence))) return queuedInfo(command);
    // It may have ended while its command was looked for.
    const ended = command && (await this.#end(runId, command, true));
    if (ended?.event) return this.#withCommand(infoOf(runId, { ...ended, event: ended.event }));
    throw new LoopstackError('RUN_UNKNOWN', { runId });
  }

  /**
   * Records the outcome `canceled`, so that no worker can record another one, then tells the workers. A run that is
   * canceled already is told of again, so a cancel that was interrupted can be repeated.
   * @throws LoopstackError RUN_UNKNOWN, RUN_AMBIGUOUS, RUN_FINISHED, NAME_INVALID, STREAM_UNAVAILABLE, PUBLISH_…
   */
  async cancel(runId: string, given?: RunAddress, hint = 0): Promise<RunInfo> {
    const { names } = this.#options;
    assertRun(runId, given);
    const { sequence, ...address } = given ? { ...addressOf(given), sequence: hint } : await this.#addresses.of(runId);
    for (let tries = 1; ; tries++) {
      const found = await this.#end(runId, address, tries > 1);
      const last = found?.event;
      // Also when there is an event: the address of the run is what an outcome is recorded under.
      const info = last ? infoOf(runId, { ...found, event: last }) : await this.get(runId, address, sequence);
      const event = cancellation(info, last, new Date(this.#options.clock.nowMs()).toISOString());
      if (event === undefined) return this.#announce(info);
      try {
        await this.#publisher.publish(names.event(info, runId), encodeRunEvent(event), {
          [HEADER.EXPECTED_LAST_SUBJECT_SEQUENCE]: String(found?.sequence ?? 0),
        });
        return await this.#announce({ ...info, status: 'canceled', updatedAt: event.at });
      } catch (error) {
        if (tries === CANCEL_TRIES || !(error instanceof LoopstackError) || error.details['errCode'] !== ERR_CODE.WRONG_LAST_SEQUENCE)
          throw error;
      }
    }
  }

  async #announce(info: RunInfo): Promise<RunInfo> {
    const { names } = this.#options;
    await this.#publisher.publish(names.cancel(info, info.id), new Uint8Array(0));
    // A delayed command that is not due yet need not come at all. Where this is not permitted, it comes and is refused.
    if (info.sequence === undefined) {
      const { schedules } = names.streams;
      await this.#reader.purge(schedules, names.schedule(info, info.id)).catch(() => undefined);
    }
    return info;
  }

  async #end(runId: string, address: RunAddress, leader = false): Promise<PlacedEnd | undefined> {
    const { names } = this.#options;
    const end = await historyEnd(this.#reader, names.streams.events, names.event(address, runId), leader);
    const parsed = end && names.parseEvent(end.subject);
    return parsed && { ...end, workspace: parsed.workspace, workflow: parsed.workflow };
  }

  /** Adds what only the command knows, while the stream still has it. */
  async #withCommand(info: RunInfo): Promise<RunInfo> {
    if (info.sequence === undefined) return info;
    const command = await this.#commands.at(info.sequence).catch(() => undefined);
    if (command?.runId !== info.id || command.workspace !== info.workspace || command.workflow !== info.workflow) return info;
    return {
      ...info,
      queuedAt: new Date(command.queuedAtMs).toISOString(),
      ...(command.userId === undefined ? {} : { userId: command.userId }),
    };
  }

  /** Whether the workflow's consumer is done with a command: then its events have aged out. Without a consumer no command is done. */
  async #settled(address: RunAddress & { readonly priority: 'high' | 'normal' | 'low' }, sequence: number): Promise<boolean> {
    const { names } = this.#options;
    // A workflow without lanes takes all priorities by one durable.
    for (const durable of new Set([names.durable(address, address.priority), names.durable(address)])) {
      const floor = await this.#floorOf(durable);
      if (floor !== undefined) return sequence > 0 && sequence <= floor;
    }
    return false;
  }

  /** One request for all that ask at the same time. */
  #floorOf(durable: string): Promise<number | undefined> {
    const known = this.#floors.get(durable);
    if (known) return known;
    const asked = this.#floor(this.#options.names.streams.runs, durable).finally(() => this.#floors.delete(durable));
    this.#floors.set(durable, asked);
    return asked;
  }

  async #floor(stream: string, durable: string): Promise<number | undefined> {
    const info = await this.#reader
      .call<{ ack_floor: { stream_seq: number } }>(`CONSUMER.INFO.${stream}.${durable}`, {}, stream)
      .catch(() => undefined);
    return info?.ack_floor.stream_seq;
  }
}

/** A wildcard would read another user's run; a line end would let the caller publish anything. */
function assertRun(runId: string, address: RunAddress | undefined): void {
  assertName('run id', runId);
  if (address !== undefined) assertAddress(address);
}

export function runOf(
  run: string | RunReference,
  address: RunAddress | undefined,
): { readonly id: string; readonly at: RunAddress | undefined } {
  if (typeof run !== 'object' || run === null) return { id: run, at: address };
  assertAddress(run);
  return { id: run.id, at: run };
}

const addressOf = ({ workspace, workflow }: RunAddress): RunAddress => ({ workspace, workflow });

/** Nothing answers this request from the account of this user. */
function isUnasked(error: unknown): boolean {
  return (
    error instanceof LoopstackError &&
    error.code === 'STREAM_UNAVAILABLE' &&
    requestFailure((error.cause as Error | undefined)?.cause) === 'no-responders'
  );
}

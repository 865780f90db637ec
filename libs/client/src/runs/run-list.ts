import {
  PRIORITIES,
  storedRunEvent,
  type Priority,
  type RunAddress,
  type RunEvent,
  type RunFilter,
  type RunInfo,
  type RunStatus,
  changedMs,
  infoOf,
  isWithin,
  newestFirst,
  queuedInfo,
  resolveRunFilter,
} from '@loopstack/shared/contract';
import { backwards } from './backwards.js';
import { historyEnd } from './history-end.js';
import type { ResolvedClientOptions } from '../options.js';
import type { StoredCommand, StoredCommands } from './stored-command.js';
import type { StoredMessage, StreamReader } from '@loopstack/jetstream';

/** An event that is longer is not kept until it is known to be listed: it is read again then. */
const KEPT_BYTES = 1024;
/** Runs that are held against a user or a time at once. */
const CHUNK = 256;

interface Listed {
  readonly info: RunInfo;
  /** Sequence of the event that tells the rest. */
  readonly reread?: number;
}

/** A run with the newest event that was read of it. */
interface Recorded extends Listed {
  readonly subject: string;
  readonly sequence: number;
}

/** What one list asks for. */
interface Query {
  readonly filter: RunFilter;
  readonly limit: number;
  readonly statuses: ReadonlySet<RunStatus> | undefined;
  readonly onBound: (timeMs: number) => void;
}

/**
 * Lists runs, those that changed last first (of one millisecond those that were started last), from the ends of the streams backwards: what it costs grows with the messages between now
 * and the last run that is listed, not with the streams. A list reads at most 200,000 events and as many commands of each priority, and tells
 * where it stopped.
 */
export class RunList {
  readonly #options: ResolvedClientOptions;
  readonly #reader: StreamReader;
  readonly #commands: StoredCommands;

  constructor(options: ResolvedClientOptions, reader: StreamReader, commands: StoredCommands) {
    this.#options = options;
    this.#reader = reader;
    this.#commands = commands;
  }

  /** @throws LoopstackError NAME_INVALID, OPTION_INVALID, STREAM_UNAVAILABLE */
  async list(filter: RunFilter = {}): Promise<RunInfo[]> {
    const { limit, statuses } = resolveRunFilter(filter);
    let boundMs = Number.NEGATIVE_INFINITY;
    const query: Query = { filter, limit, statuses, onBound: (timeMs) => (boundMs = Math.max(boundMs, timeMs)) };
    const found: Listed[] = [];
    if (statuses === undefined || statuses.has('queued')) for (const info of await this.#queued(query)) found.push({ info });
    if (statuses === undefined || [...statuses].some((status) => status !== 'queued'))
      for (const one of await this.#recorded(query)) found.push(one);
    found.sort((a, b) => newestFirst(a.info, b.info));
    const listed: RunInfo[] = [];
    for (const { info, reread } of found.slice(0, limit)) listed.push(reread === undefined ? info : await this.#whole(info, reread));
    const last = listed.length === limit ? listed.at(-1) : undefined;
    if (boundMs > (last ? changedMs(last) : Number.NEGATIVE_INFINITY)) filter.onIncomplete?.(new Date(boundMs));
    return listed;
  }

  async #recorded({ filter, limit, statuses, onBound }: Query): Promise<Listed[]> {
    const { names } = this.#options;
    const seen = new Set<string>();
    const listed: Listed[] = [];
    const read = (message: StoredMessage): Recorded | undefined => {
      const info = this.#info(message);
      if (!info) return undefined;
      const { subject, sequence } = message;
      if (message.data.length <= KEPT_BYTES) return { subject, sequence, info };
      const { result: _, error: __, ...rest } = info;
      return { subject, sequence, info: rest, reread: sequence };
    };
    const slice = { stream: names.streams.events, subject: names.event(anyOf(filter), '*'), filter, lowest: 1 };
    for await (const block of backwards(this.#reader, slice, read, onBound)) {
      // The newest event of a run is its state; older ones of it are history. What is queued is found by its command, also if it has such an event.
      const newest = block.reverse().filter(({ subject, info }) => {
        if (seen.has(subject)) return false;
        seen.add(subject);
        return info.status !== 'queued' && (statuses?.has(info.status) ?? true);
      });
      for (let from = 0; from < newest.length; from += CHUNK) {
        for (const one of await this.#matching(newest.slice(from, from + CHUNK), filter)) if (listed.push(one) === limit) return listed;
      }
    }
    return listed;
  }

  /** Those of the user, and those that have not changed after `until`. */
  async #matching(runs: readonly Recorded[], { userId, until }: RunFilter): Promise<readonly Recorded[]> {
    const ofUser = userId === undefined ? runs : await only(runs, async ({ info }) => (await this.#userOf(info)) === userId);
    if (until === undefined || ofUser.length === 0) return ofUser;
    const { events } = this.#options.names.streams;
    const last = new Map<string, StoredMessage>();
    for await (const message of this.#reader.lastOf(
      events,
      ofUser.map(({ subject }) => subject),
    ))
      last.set(message.subject, message);
    return only(ofUser, async ({ subject, sequence }) => {
      const message = last.get(subject);
      if (message === undefined || message.sequence === sequence) return true;
      if (storedRunEvent(message)) return false;
      // The last message is no event; one that changed the run may stand before it.
      for await (const later of this.#reader.scan(events, subject, { sequence: sequence + 1 })) if (storedRunEvent(later)) return false;
      return true;
    });
  }

  /** Outcomes tell the user; of a run that has none its command does. */
  async #userOf({ id, userId, sequence, workspace, workflow }: RunInfo): Promise<string | undefined> {
    if (userId !== undefined || sequence === undefined) return userId;
    const command = await this.#commands.at(sequence);
    return command?.runId === id && command.workspace === workspace && command.workflow === workflow ? command.userId : undefined;
  }

  #info({ subject, data, relayed }: StoredMessage): RunInfo | undefined {
    const parsed = this.#options.names.parseEvent(subject);
    const event = parsed && storedRunEvent({ data, relayed });
    return event && infoOf(parsed.runId, { ...parsed, event });
  }

  /** With its result; without, if its event has aged out meanwhile. */
  async #whole(info: RunInfo, sequence: number): Promise<RunInfo> {
    const message = await this.#reader.get(this.#options.names.streams.events, { sequence });
    const whole = message && this.#info(message);
    return whole?.id === info.id ? whole : info;
  }

  /** Commands that no worker has begun, including those that are not due yet. */
  async #queued({ filter, limit, onBound }: Query): Promise<RunInfo[]> {
    const { names } = this.#options;
    const { workspace, workflow, userId, since, until } = filter;
    const isWanted = (command: StoredCommand): boolean => userId === undefined || command.userId === userId;
    const listed: RunInfo[] = [];
    const floors = await this.#floors();
    // A workflow without lanes takes all priorities by one durable.
    const floorOf = (address: RunAddress, priority: Priority): number =>
      floors.get(names.durable(address, priority)) ?? floors.get(names.durable(address)) ?? 0;
    const read = (message: StoredMessage): StoredCommand | undefined => this.#commands.read(message);
    for (const priority of PRIORITIES) {
      let room = limit;
      const floor = workspace === undefined || workflow === undefined ? 0 : floorOf({ workspace, workflow }, priority);
      const slice = { stream: names.streams.runs, subject: this.#commands.subject(priority, filter), filter, lowest: floor + 1 };
      for await (const block of backwards(this.#reader, slice, read, onBound)) {
        const unsettled = block.reverse().filter((command) => isWanted(command) && command.sequence > floorOf(command, command.priority));
        for (const command of await this.#unbegun(unsettled)) if (room-- > 0) listed.push(queuedInfo(command));
        if (room <= 0) break;
      }
    }
    const delayed: StoredCommand[] = [];
    try {
      for await (const command of this.#commands.scheduled(filter)) {
        if (isWanted(command) && isWithin(command.queuedAtMs, { since, until })) delayed.push(command);
      }
    } catch {
      // No stream for schedules, so no delayed commands.
    }
    return [...listed, ...(await this.#unbegun(delayed)).map(queuedInfo)];
  }

  /** Those without an event, or with one that says no more than that the command holds a key or was redriven. */
  async #unbegun(commands: readonly StoredCommand[]): Promise<StoredCommand[]> {
    const { names } = this.#options;
    if (commands.length === 0) return [];
    const subjectOf = (command: StoredCommand): string => names.event(command, command.runId);
    const last = new Map<string, Pick<RunEvent, 'type' | 'sequence'> | undefined>();
    for await (const { subject, data, relayed } of this.#reader.lastOf(names.streams.events, commands.map(subjectOf))) {
      // The last message may be no event, and an event stand before it.
      const event = storedRunEvent({ data, relayed }) ?? (await historyEnd(this.#reader, names.streams.events, subject))?.event;
      last.set(subject, event && { type: event.type, ...(event.sequence === undefined ? {} : { sequence: event.sequence }) });
    }
    return commands.filter((command) => {
      const event = last.get(subjectOf(command));
      return event === undefined || (event.type === 'queued' && (event.sequence === undefined || event.sequence === command.sequence));
    });
  }

  /** The ack floor of each durable consumer: what is below was executed, also if its events have aged out. */
  async #floors(): Promise<Map<string, number>> {
    const { runs } = this.#options.names.streams;
    const floors = new Map<string, number>();
    for (;;) {
      const page = await this.#reader
        .call<{ total: number; consumers: { name: string; ack_floor: { stream_seq: number } }[] }>(
          `CONSUMER.LIST.${runs}`,
          { offset: floors.size },
          runs,
        )
        .catch(() => undefined);
      for (const { name, ack_floor } of page?.consumers ?? []) floors.set(name, ack_floor.stream_seq);
      if (!page || page.consumers.length === 0 || floors.size >= page.total) return floors;
    }
  }
}

function anyOf({ workspace = '*', workflow = '*' }: Partial<RunAddress>): RunAddress {
  return { workspace, workflow };
}

/** Those for which it is true, in their order. */
async function only<T>(all: readonly T[], test: (one: T) => Promise<boolean>): Promise<readonly T[]> {
  const passed = await Promise.all(all.map(test));
  return all.filter((_, index) => passed[index]);
}

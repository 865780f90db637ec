import {
  PRIORITIES,
  storedRunEvent,
  type Priority,
  type RunAddress,
  type RunEvent,
  type RunFilter,
  type RunInfo,
  type RunStatus,
  infoOf,
  newestFirst,
  queuedInfo,
  resolveRunFilter,
} from '@loopstack/shared/contract';
import { historyEnd } from './history-end.js';
import type { ResolvedClientOptions } from '../options.js';
import type { StoredCommand, StoredCommands } from './stored-command.js';
import type { StoredMessage, StreamReader } from '@loopstack/jetstream';

/** Sequences in the first block that is read, from the end of a stream backwards; each further one is twice as long. */
const FIRST_BLOCK = 512;
const MAX_BLOCK = 65_536;
/** An event that is longer is not kept until it is known to be listed: it is read again then. */
const KEPT_BYTES = 1024;
/** Messages that one list reads of a stream before it takes what it has. */
const MAX_SCANNED = 200_000;

interface Listed {
  readonly info: RunInfo;
  /** Sequence of the event that tells the rest. */
  readonly reread?: number;
}

/**
 * Lists runs, those that changed last first (of one millisecond those that were started last), from the ends of the streams backwards: what it costs grows with the messages between now
 * and the last run that is listed, not with the streams. A list reads at most 200,000 events and as many commands.
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
    const found: Listed[] = [];
    if (statuses === undefined || statuses.has('queued')) for (const info of await this.#queued(filter, limit)) found.push({ info });
    if (statuses === undefined || [...statuses].some((status) => status !== 'queued'))
      for (const one of await this.#recorded(filter, statuses, limit)) found.push(one);
    found.sort((a, b) => newestFirst(a.info, b.info));
    const listed: RunInfo[] = [];
    for (const { info, reread } of found.slice(0, limit)) listed.push(reread === undefined ? info : await this.#whole(info, reread));
    return listed;
  }

  async #recorded(filter: RunFilter, statuses: ReadonlySet<RunStatus> | undefined, limit: number): Promise<Listed[]> {
    const { names } = this.#options;
    const subject = names.event(anyOf(filter), '*');
    const seen = new Set<string>();
    const listed: Listed[] = [];
    const read = (message: StoredMessage): (Listed & { readonly subject: string }) | undefined => {
      const info = this.#info(message);
      if (!info || message.data.length <= KEPT_BYTES) return info && { subject: message.subject, info };
      const { result: _, error: __, ...rest } = info;
      return { subject: message.subject, info: rest, reread: message.sequence };
    };
    for await (const block of this.#backwards(names.streams.events, subject, filter.since, 1, read)) {
      for (const one of block.reverse()) {
        if (seen.has(one.subject)) continue;
        // The newest event of a run is its state; older ones of it are history.
        seen.add(one.subject);
        const { info } = one;
        // What is queued is found by its command, also if it has such an event.
        if (info.status === 'queued' || (statuses && !statuses.has(info.status))) continue;
        if (listed.push(one) === limit) return listed;
      }
    }
    return listed;
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
  async #queued(filter: RunFilter, limit: number): Promise<RunInfo[]> {
    const { names } = this.#options;
    const listed: RunInfo[] = [];
    const floors = await this.#floors();
    const floorOf = (address: RunAddress, priority: Priority): number => floors.get(names.durable(address, priority)) ?? 0;
    for (const priority of PRIORITIES) {
      let room = limit;
      const { workspace, workflow } = filter;
      const lowest = workspace === undefined || workflow === undefined ? 0 : floorOf({ workspace, workflow }, priority);
      const subject = this.#commands.subject(priority, filter);
      const read = (message: StoredMessage): StoredCommand | undefined => this.#commands.read(message);
      for await (const block of this.#backwards(names.streams.runs, subject, filter.since, lowest + 1, read)) {
        const unsettled = block.reverse().filter((command) => command.sequence > floorOf(command, command.priority));
        for (const command of await this.#unbegun(unsettled)) if (room-- > 0) listed.push(queuedInfo(command));
        if (room <= 0) break;
      }
    }
    try {
      const delayed: StoredCommand[] = [];
      for await (const command of this.#commands.scheduled(filter)) {
        if (filter.since === undefined || command.queuedAtMs >= filter.since.getTime()) delayed.push(command);
      }
      listed.push(...(await this.#unbegun(delayed)).map(queuedInfo));
    } catch {
      // No stream for schedules, so no delayed commands.
    }
    return listed;
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

  /** What is read of the messages of a subject, in blocks, the newest block first, each in stream order, down to a sequence or a time. */
  async *#backwards<T>(
    stream: string,
    subject: string,
    since: Date | undefined,
    lowest: number,
    read: (message: StoredMessage) => T | undefined,
  ): AsyncGenerator<T[]> {
    const last = await this.#reader.get(stream, { last: subject });
    let scanned = 0;
    let size = FIRST_BLOCK;
    for (let end = (last?.sequence ?? 0) + 1; end > lowest && scanned < MAX_SCANNED; size = Math.min(size * 2, MAX_BLOCK)) {
      const start = Math.max(lowest, end - size);
      const block: T[] = [];
      let young = 0;
      for await (const message of this.#reader.scan(stream, subject, { sequence: start }, Math.min(size, 1024))) {
        if (message.sequence >= end) break;
        scanned++;
        if (since !== undefined && message.timeMs < since.getTime()) continue;
        young++;
        const kept = read(message);
        if (kept !== undefined) block.push(kept);
      }
      if (young > 0) yield block;
      else if (since !== undefined && (await this.#olderThan(stream, start, since))) return;
      end = start;
    }
  }

  async #olderThan(stream: string, sequence: number, since: Date): Promise<boolean> {
    const message = await this.#reader.get(stream, { next: '>', sequence });
    return message === undefined || message.timeMs < since.getTime();
  }
}

function anyOf({ workspace = '*', workflow = '*' }: Partial<RunAddress>): RunAddress {
  return { workspace, workflow };
}

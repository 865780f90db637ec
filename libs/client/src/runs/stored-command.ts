import {
  HEADER,
  PRIORITIES,
  contentOf,
  decodeRunCommand,
  runIdOf,
  runIdOrigin,
  runIdSequence,
  runIdTime,
  type Priority,
  type RunAddress,
} from '@loopstack/shared/contract';
import type { ResolvedClientOptions } from '../options.js';
import { Limiter, type StoredMessage, type StreamReader } from '@loopstack/jetstream';

/** A command as a stream holds it. */
export interface StoredCommand extends RunAddress {
  readonly runId: string;
  readonly userId: string | undefined;
  readonly priority: Priority;
  /** Sequence in the runs stream; 0 while a schedule keeps it. */
  readonly sequence: number;
  readonly queuedAtMs: number;
}

interface StreamSubjects {
  readonly state: { readonly subjects?: Readonly<Record<string, number>> };
}

const ANYWHERE: RunAddress = Object.freeze({ workspace: '*', workflow: '*' });
/** Two are too many for one id. */
const MOST_SUBJECTS = 3;

/** Messages of a first look: at 100,000 commands a second still 20 ms of them. */
const FIRST_LOOK = 2048;
/** In the first page, where all of them are read. */
const FIRST_PAGE = 256;
/** Searches at once. Those that wait are often spared: the pages before theirs hold what they look for. */
const SEARCHES = 8;
/** Commands that were passed and are remembered. */
const PASSED = 4096;
/** Clocks of producers and of the server are hardly further apart, and no command waits longer to be written. */
const SKEW_MS = 2_000;
/** An id of ours carries the server's time, nearly: its command may be stored before that. */
const NEAR_MS = 250;
const WAIT_MS = 120_000;
/** Beyond that, an id does not tell where its command is. */
const FAR_MS = 600_000;
/** Commands at the end of the stream that are looked through for an id that carries no time. */
const TAIL = 20_000;

/**
 * Finds commands that have no event yet, without an index. What it costs: an id of ours (UUIDv7) is found within the
 * first messages from the time that it carries; a derived one (UUIDv8) names its sequence; others are looked for
 * among the last 20,000 commands. An id that was never accepted costs a scan of the 20 minutes around
 * its time, and of that end: an id of a producer whose clock was wrong tells a wrong time.
 */
export class StoredCommands {
  readonly #options: ResolvedClientOptions;
  readonly #reader: StreamReader;
  readonly #searches = new Limiter(SEARCHES);
  /** Where searches have seen commands, by run id: a hint, since a stream may be made anew. */
  readonly #passed = new Map<string, number>();

  constructor(options: ResolvedClientOptions, reader: StreamReader) {
    this.#options = options;
    this.#reader = reader;
  }

  /** @param hint the sequence at which it was acknowledged; 0 if that is not known */
  async find(runId: string, address: RunAddress, hint = 0): Promise<StoredCommand | undefined> {
    const known = await this.#hinted(runId, hint, address);
    if (known) return known;
    const [scheduled] = await this.#scheduled(runId, address);
    if (scheduled) return scheduled;
    const sequence = runIdSequence(runId);
    if (sequence !== undefined) return this.#hinted(runId, sequence, address);
    return this.#searches.run(
      async () => (await this.#hinted(runId, this.#passed.get(runId) ?? 0, address)) ?? this.#search(runId, address),
    );
  }

  /**
   * The commands of an id whose address is not known: one of each address that has any. An id of ours is looked for among 20,000 commands from the time that it
   * carries, up to the one that has recorded events at `known`; any other one among the last 20,000.
   */
  async findAll(runId: string, known: RunAddress | undefined): Promise<readonly StoredCommand[]> {
    const scheduled = await this.#scheduled(runId, ANYWHERE);
    const sequence = runIdSequence(runId);
    if (sequence !== undefined) {
      const derived = await this.at(sequence);
      return derived?.runId === runId ? [...scheduled, derived] : scheduled;
    }
    const found = await this.#searches.run(() => this.#searchAll(runId, known));
    if (found.length + scheduled.length > 0 || known !== undefined) return [...scheduled, ...found];
    const far = await this.#searches.run(() => this.#search(runId, ANYWHERE));
    return far ? [far] : [];
  }

  async #searchAll(runId: string, known: RunAddress | undefined): Promise<readonly StoredCommand[]> {
    const timeMs = runIdTime(runId);
    const found = new Map<string, StoredCommand>();
    const isKnown = ({ workspace, workflow }: RunAddress): boolean => workspace === known?.workspace && workflow === known.workflow;
    const { runs } = this.#options.names.streams;
    const read = async (from: { readonly sequence: number } | { readonly timeMs: number }, toMs: number, limit: number): Promise<void> => {
      let left = limit;
      for await (const page of this.#reader.pages(runs, '>', from, FIRST_PAGE)) {
        for (const message of page) {
          const given = message.headers.get(HEADER.RUN_ID);
          // Without a header it may be of a key, whose id carries no time.
          if (given === undefined ? timeMs !== undefined : given !== runId) continue;
          const command = this.read(message);
          if (command?.runId !== runId) continue;
          found.set(`${command.workspace}.${command.workflow}`, command);
          // Such an id is secret until its first command is stored.
          if (timeMs !== undefined && isKnown(command)) return;
        }
        left -= page.length;
        if (left <= 0 || (page.at(-1)?.timeMs ?? 0) > toMs) return;
      }
    };
    // The id of a delayed command carries the time at which it is due.
    if (timeMs !== undefined && timeMs < this.#options.clock.nowMs() + SKEW_MS) {
      await read({ timeMs: timeMs - NEAR_MS }, timeMs + WAIT_MS, TAIL);
    } else {
      const last = await this.#reader.get(runs, { last: '>' });
      if (last) await read({ sequence: Math.max(1, last.sequence - TAIL) }, Infinity, Infinity);
    }
    return [...found.values()];
  }

  async #hinted(runId: string, sequence: number, address: RunAddress): Promise<StoredCommand | undefined> {
    const command = sequence > 0 ? await this.at(sequence) : undefined;
    if (command?.runId !== runId) return undefined;
    return address.workspace === command.workspace && address.workflow === command.workflow ? command : undefined;
  }

  async #search(runId: string, address: RunAddress): Promise<StoredCommand | undefined> {
    const subjects = PRIORITIES.map((priority) => this.subject(priority, address));
    const origin = runIdOrigin(runId);
    const timeMs = runIdTime(runId);
    if (timeMs === undefined) return this.#inTail(runId, subjects);
    if (origin === 'producer') return this.#aroundTime(runId, subjects, timeMs);
    // The time is that of the event; the command came at once, or much later for an event from before its binding.
    return (await this.#scan(runId, subjects, timeMs, timeMs + WAIT_MS, FIRST_LOOK)) ?? this.#inTail(runId, subjects);
  }

  /** The command at a sequence of the runs stream. */
  async at(sequence: number): Promise<StoredCommand | undefined> {
    const message = await this.#reader.get(this.#options.names.streams.runs, { sequence });
    return message && this.read(message);
  }

  /** What the command at a sequence asks for, if it is of this run. */
  async contentAt(sequence: number, { workspace, workflow }: RunAddress, runId: string): Promise<string | undefined> {
    const message = await this.#reader.get(this.#options.names.streams.runs, { sequence });
    const command = message && this.read(message);
    if (command?.runId !== runId || command.workspace !== workspace || command.workflow !== workflow) return undefined;
    return contentOf(decodeRunCommand((message as StoredMessage).data, message?.headers));
  }

  /** The command in a message of the runs stream; undefined for one that is none. */
  read(message: StoredMessage): StoredCommand | undefined {
    const parsed = this.#options.names.parseRun(message.subject);
    return parsed && storedCommand(parsed, parsed.priority, message, message.sequence);
  }

  /** Delayed commands: each is a schedule whose id is the run's. */
  async *scheduled(address: Partial<RunAddress> = {}): AsyncGenerator<StoredCommand> {
    const { names } = this.#options;
    const subject = names.schedule({ workspace: address.workspace ?? '*', workflow: address.workflow ?? '*' }, '*');
    for await (const message of this.#reader.scan(names.streams.schedules, subject, { sequence: 1 })) {
      const command = this.#readScheduled(message);
      if (command) yield command;
    }
  }

  /** The subject on which commands of a priority are stored, those of one address or of all. */
  subject(priority: Priority, address?: Partial<RunAddress>): string {
    return this.#options.names.run({ workspace: address?.workspace ?? '*', workflow: address?.workflow ?? '*' }, priority);
  }

  async #scheduled(runId: string, address: RunAddress): Promise<readonly StoredCommand[]> {
    const { names } = this.#options;
    const { schedules } = names.streams;
    const subject = names.schedule(address, runId);
    // A server that is too old for schedules, or a user who may not see them, keeps no delayed command for this one.
    const subjects = address === ANYWHERE ? await this.#subjects(schedules, subject).catch(() => []) : [subject];
    const found: StoredCommand[] = [];
    for (const one of subjects) {
      const message = await this.#reader.get(schedules, { last: one }).catch(() => undefined);
      const command = message && this.#readScheduled(message);
      if (command) found.push(command);
    }
    return found;
  }

  async #subjects(stream: string, filter: string): Promise<readonly string[]> {
    const info = await this.#reader.call<StreamSubjects>(`STREAM.INFO.${stream}`, { subjects_filter: filter }, stream);
    return Object.keys(info?.state.subjects ?? {}).slice(0, MOST_SUBJECTS);
  }

  #readScheduled(message: StoredMessage): StoredCommand | undefined {
    const parsed = this.#options.names.parseSchedule(message.subject);
    if (!parsed || message.headers.get(HEADER.RUN_ID) !== parsed.id) return undefined;
    return storedCommand(parsed, 'normal', message, 0);
  }

  async #aroundTime(runId: string, subjects: readonly string[], timeMs: number): Promise<StoredCommand | undefined> {
    return (
      (await this.#scan(runId, subjects, timeMs, timeMs + WAIT_MS, FIRST_LOOK)) ??
      (await this.#scan(runId, subjects, timeMs - SKEW_MS, timeMs + WAIT_MS)) ??
      (await this.#scan(runId, subjects, timeMs - FAR_MS, timeMs + FAR_MS)) ??
      this.#inTail(runId, subjects)
    );
  }

  async #scan(
    runId: string,
    subjects: readonly string[],
    fromMs: number,
    toMs: number,
    limit = Infinity,
  ): Promise<StoredCommand | undefined> {
    for (const subject of subjects) {
      let left = limit;
      for await (const page of this.#reader.pages(this.#options.names.streams.runs, subject, { timeMs: fromMs })) {
        let found: StoredMessage | undefined;
        for (const message of page) {
          const passed = message.headers.get(HEADER.RUN_ID);
          if (passed === runId) found ??= message;
          else if (passed !== undefined) this.#pass(passed, message.sequence);
        }
        if (found) return this.read(found);
        left -= page.length;
        if (left <= 0 || (page.at(-1)?.timeMs ?? 0) > toMs) break;
      }
    }
    return undefined;
  }

  #pass(runId: string, sequence: number): void {
    if (this.#passed.size >= PASSED) this.#passed.clear();
    this.#passed.set(runId, sequence);
  }

  async #inTail(runId: string, subjects: readonly string[]): Promise<StoredCommand | undefined> {
    for (const subject of subjects) {
      const last = await this.#reader.get(this.#options.names.streams.runs, { last: subject });
      if (!last) continue;
      for await (const message of this.#reader.scan(this.#options.names.streams.runs, subject, {
        sequence: Math.max(1, last.sequence - TAIL),
      })) {
        const command = this.read(message);
        if (command?.runId === runId) return command;
      }
    }
    return undefined;
  }
}

function storedCommand(address: RunAddress, priority: Priority, message: StoredMessage, sequence: number): StoredCommand | undefined {
  const { headers, timeMs } = message;
  let userId: string | undefined;
  let key: string | undefined;
  try {
    const command = decodeRunCommand(message.data, headers);
    userId = command.userId;
    key = command.idempotencyKey;
  } catch {
    // A worker will make a dead letter of it; until then it is a queued run like others.
  }
  try {
    const runId = runIdOf(address, { sequence: message.sequence, timeMs }, headers.get(HEADER.RUN_ID), key);
    return { workspace: address.workspace, workflow: address.workflow, runId, userId, priority, sequence, queuedAtMs: timeMs };
  } catch {
    return undefined;
  }
}

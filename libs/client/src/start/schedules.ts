import {
  HEADER,
  LoopstackError,
  assertAddress,
  assertName,
  assertPlace,
  decodeRunCommand,
  printable,
  type Headers,
  type Priority,
  type RunAddress,
  type Recurrence,
  type RunHandle,
  type Schedule,
  type ScheduleOptions,
  assertOptions,
  headerLines,
  prepareCommand,
  recurrencePattern,
  type PreparedCommand,
} from '@loopstack/shared/contract';
import { setTimeout as delay } from 'node:timers/promises';
import {
  ERR_CODE,
  IDEMPOTENT_ALONE,
  WRITTEN_ONCE,
  requireServer,
  headerBlock,
  type Publisher,
  type StreamReader,
  type StoredMessage,
} from '@loopstack/jetstream';
import type { StoredRun } from './handle.js';
import type { ResolvedClientOptions } from '../options.js';

// Message schedules, NATS ADR-51.
const SCHEDULE = 'Nats-Schedule';
const TARGET = 'Nats-Schedule-Target';
const TIME_ZONE = 'Nats-Schedule-Time-Zone';
const TTL = 'Nats-Schedule-TTL';

/** A due command is copied to the runs stream at once; it may wait this long for a runs stream that is full or down. */
const DUE_TTL = '168h';
const PATTERN_INVALID = 10189;
const TIME_ZONE_INVALID = 10223;
/** Each of many processes that declare one schedule differently, all at once, gets its turn; the wait before is random. */
const REPLACE_TRIES = 40;
const REPLACE_WAIT_MS = 10;

/**
 * Delayed and recurring runs. The server keeps them as messages of the schedules stream and publishes what is due, so
 * they need no process of ours and fire once for any number of clients and workers. What is due while the server is
 * down: a delayed run starts when the server is back; a recurring one starts once for all fires that were missed, or
 * waits for the next.
 */
export class Schedules {
  readonly #options: ResolvedClientOptions;
  readonly #publisher: Publisher;
  readonly #reader: StreamReader;

  constructor(options: ResolvedClientOptions, publisher: Publisher, reader: StreamReader) {
    this.#options = options;
    this.#publisher = publisher;
    this.#reader = reader;
  }

  /** Stores a command that starts later. Its schedule has the run's id. */
  async delay<R>(command: PreparedCommand, priority: Priority | undefined, run: StoredRun<R>): Promise<RunHandle<R>> {
    requireServer(this.#reader.nc, 'A delayed run', 2, 12);
    const { names } = this.#options;
    const at = new Date(command.dueMs as number).toISOString();
    const lines =
      `${HEADER.MSG_ID}: ${command.messageId}\r\n${SCHEDULE}: @at ${at}\r\n${TARGET}: ${names.due(command, priority)}\r\n` +
      `${TTL}: ${DUE_TTL}\r\n${command.lines}`;
    const receiver = {
      acknowledged: (_: string, __: number, duplicate: boolean) => run.acknowledged(names.streams.schedules, 0, duplicate),
    };
    const subject = names.schedule(command, command.runId);
    const message = { subject, data: command.data, block: headerBlock(lines) };
    return this.#publisher.sendAs<RunHandle<R>>(IDEMPOTENT_ALONE, message, command.timeoutMs, receiver);
  }

  /**
   * Creates a schedule, or replaces the one with this id if it differs. The same call from many processes is one
   * schedule, and repeating it does not move a period that is running.
   * @throws LoopstackError SCHEDULE_INVALID, SERVER_TOO_OLD, NAME_INVALID, USER_MISSING, PAYLOAD_UNSERIALIZABLE
   */
  // same as libs/core/src/run-gateway.ts: the port of the core does not import the client, which fits it.
  // oxlint-disable-next-line max-params -- as `run`, after what is scheduled and when
  async put(
    id: string,
    recurrence: Recurrence,
    workflow: string,
    workspace: string,
    payload: unknown,
    userId: string,
    options: ScheduleOptions = {},
  ): Promise<Schedule> {
    assertName('schedule id', id);
    assertOptions(options);
    const { names } = this.#options;
    const { timeZone, headers, priority = 'normal' } = options;
    const pattern = recurrencePattern(recurrence);
    requireServer(this.#reader.nc, 'A recurring schedule', 2, 14);
    const command = prepareCommand(this.#options, workflow, workspace, payload, userId, { priority, ...(headers ? { headers } : {}) });
    const subject = names.schedule(command, id);
    const fields = {
      [SCHEDULE]: pattern,
      [TARGET]: names.due(command, priority),
      ...(timeZone === undefined ? {} : { [TIME_ZONE]: timeZone }),
      [TTL]: DUE_TTL,
      ...headers,
    };
    for (let tries = 1; ; tries++) {
      const present = await this.#read(subject, tries > 1);
      if (present && same(present, fields, command.data)) return this.#schedule(present) as Schedule;
      // No run id among the headers: each fire is a run of its own, with an id derived from its sequence.
      const block = headerBlock(headerLines({ ...fields, [HEADER.EXPECTED_LAST_SUBJECT_SEQUENCE]: String(present?.sequence ?? 0) }));
      try {
        await this.#publisher.sendAs(WRITTEN_ONCE, { subject, data: command.data, block }, command.timeoutMs, NOTHING);
      } catch (error) {
        if (errCodeOf(error) === ERR_CODE.WRONG_LAST_SEQUENCE) {
          if (tries === REPLACE_TRIES)
            throw new LoopstackError(
              'PUBLISH_UNAVAILABLE',
              { subject, reason: 'others replace this schedule all the time' },
              { cause: error },
            );
          await delay(Math.random() * REPLACE_WAIT_MS * tries);
          continue;
        }
        throw refusedSchedule(error, pattern, timeZone);
      }
      const stored = await this.#read(subject, true);
      const schedule = stored && this.#schedule(stored);
      if (schedule) return schedule;
    }
  }

  /** As `put`, for a schedule that exists. @throws LoopstackError SCHEDULE_UNKNOWN, and as `put` */
  async replace(...args: Parameters<Schedules['put']>): Promise<Schedule> {
    const [id, , workflow, workspace] = args;
    await this.get({ workspace, workflow }, id);
    return this.put(...args);
  }

  /** @throws LoopstackError SCHEDULE_UNKNOWN */
  async get(address: RunAddress, id: string): Promise<Schedule> {
    const subject = this.#subject(address, id);
    const message = await this.#read(subject, true);
    const schedule = message && this.#schedule(message);
    if (!schedule) throw new LoopstackError('SCHEDULE_UNKNOWN', { id, ...address });
    return schedule;
  }

  /** @throws LoopstackError NAME_INVALID, STREAM_UNAVAILABLE */
  async list(filter: Partial<RunAddress> = {}): Promise<Schedule[]> {
    assertPlace(filter);
    const { names } = this.#options;
    const subject = names.schedule({ workspace: filter.workspace ?? '*', workflow: filter.workflow ?? '*' }, '*');
    const listed: Schedule[] = [];
    for await (const message of this.#reader.scan(names.streams.schedules, subject, { sequence: 1 })) {
      const schedule = this.#schedule(message);
      if (schedule) listed.push(schedule);
    }
    return listed;
  }

  /** Ends a schedule. Runs that it started go on. @throws LoopstackError SCHEDULE_UNKNOWN */
  async cancel(address: RunAddress, id: string): Promise<void> {
    const { schedules } = this.#options.names.streams;
    const filter = this.#subject(address, id);
    if ((await this.#reader.purge(schedules, filter)) === 0) throw new LoopstackError('SCHEDULE_UNKNOWN', { id, ...address });
  }

  #subject(address: RunAddress, id: string): string {
    assertAddress(address);
    assertName('schedule id', id);
    return this.#options.names.schedule(address, id);
  }

  #read(subject: string, leader: boolean): Promise<StoredMessage | undefined> {
    const { schedules } = this.#options.names.streams;
    return leader ? this.#reader.getFromLeader(schedules, { last: subject }) : this.#reader.get(schedules, { last: subject });
  }

  /** Undefined for a delayed run. */
  #schedule({ subject, headers, data, timeMs }: StoredMessage): Schedule | undefined {
    const parsed = this.#options.names.parseSchedule(subject);
    const recurrence = headers.get(SCHEDULE);
    if (!parsed || recurrence === undefined || headers.get(HEADER.RUN_ID) !== undefined) return undefined;
    const timeZone = headers.get(TIME_ZONE);
    const target = headers.get(TARGET);
    try {
      const { payload, userId } = decodeRunCommand(data);
      const priority = (['high', 'low'] as const).find((lane) => target === this.#options.names.due(parsed, lane)) ?? 'normal';
      const since = new Date(timeMs).toISOString();
      return { ...parsed, recurrence, payload, userId, priority, since, ...(timeZone === undefined ? {} : { timeZone }) };
    } catch {
      return undefined;
    }
  }
}

const NOTHING = { acknowledged: (): void => {} };

function same(present: StoredMessage, fields: Headers, data: Uint8Array): boolean {
  return (
    Object.entries(fields).every(([name, value]) => present.headers.get(name) === value) &&
    (fields[TIME_ZONE] ?? '') === (present.headers.get(TIME_ZONE) ?? '') &&
    Buffer.compare(present.data, data) === 0
  );
}

const errCodeOf = (error: unknown): unknown => (error instanceof LoopstackError ? error.details['errCode'] : undefined);

function refusedSchedule(error: unknown, pattern: string, timeZone: string | undefined): unknown {
  const errCode = errCodeOf(error);
  if (errCode !== PATTERN_INVALID && errCode !== TIME_ZONE_INVALID) return error;
  const value = errCode === TIME_ZONE_INVALID ? `${pattern} in ${timeZone}` : pattern;
  return new LoopstackError(
    'SCHEDULE_INVALID',
    { value: printable(value, 100), reason: (error as LoopstackError).details['reason'], errCode },
    { cause: error },
  );
}

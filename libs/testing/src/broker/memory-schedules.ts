import { type ScheduleStore } from '@loopstack/core';
import {
  LoopstackError,
  assertAddress,
  assertName,
  assertOptions,
  assertPlace,
  decodeRunCommand,
  prepareCommand,
  printable,
  recurrencePattern,
  type Headers,
  type PreparedCommand,
  type Priority,
  type RunAddress,
  type Schedule,
} from '@loopstack/shared';
import { Cron } from 'croner';
import type { MemoryBroker } from './memory-broker.js';
import type { ClockTimer } from '../virtual-clock.js';

/** A command that is stored when its time comes. */
export interface DelayedCommand extends RunAddress {
  readonly runId: string;
  readonly userId: string;
  readonly payload: unknown;
  readonly queuedAtMs: number;
  readonly timer: ClockTimer;
}

/** Recurring runs. */
interface Kept {
  readonly schedule: Schedule;
  readonly next: (afterMs: number) => number | undefined;
  readonly data: Uint8Array;
  readonly headers: Headers;
  timer: ClockTimer | undefined;
}

/** The words of nats-server; the parser here knows more. */
const CRON =
  /^(?:@(?:yearly|annually|monthly|weekly|daily|midnight|hourly)|(?:[\d*,/\- ?]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat)+)$/i;
const SUNDAY_AS_7 = /[\s,-]7(?:[,/-]\S*)?$/;
const UNIT_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/** Delayed and recurring runs, by the virtual clock. */
export class MemorySchedules implements ScheduleStore {
  readonly #kept = new Map<string, Kept>();
  readonly #delayed = new Map<string, DelayedCommand>();

  constructor(private readonly broker: MemoryBroker) {}

  /** Stores a command at its time. @throws LoopstackError PAYLOAD_TOO_LARGE, STREAM_FULL */
  delay(command: PreparedCommand, headers: Headers): void {
    const { broker } = this;
    const { workspace, workflow, runId, subject, data, dueMs = 0 } = command;
    broker.assertFits(data, headers);
    broker.assertRoom(broker.runs);
    const key = broker.options.names.schedule(command, runId);
    const timer = broker.clock.at(dueMs, () => {
      this.#delayed.delete(key);
      broker.runs.append(subject, data, headers);
    });
    this.#delayed.set(key, { workspace, workflow, runId, ...decodeRunCommand(data), queuedAtMs: broker.clock.nowMs(), timer });
  }

  /** Delayed runs that are not due yet. */
  get delayed(): Iterable<DelayedCommand> {
    return this.#delayed.values();
  }

  delayedOf(address: RunAddress, runId: string): DelayedCommand | undefined {
    return this.#delayed.get(this.broker.options.names.schedule(address, runId));
  }

  forget(address: RunAddress, runId: string): void {
    const key = this.broker.options.names.schedule(address, runId);
    this.#delayed.get(key)?.timer.cancel();
    this.#delayed.delete(key);
  }

  put(...args: Parameters<ScheduleStore['put']>): Promise<Schedule> {
    return new Promise((resolve) => resolve(this.#put(...args)));
  }

  get(address: RunAddress, id: string): Promise<Schedule> {
    return new Promise((resolve) => resolve(this.#find(address, id).schedule));
  }

  list(filter: Partial<RunAddress> = {}): Promise<readonly Schedule[]> {
    return new Promise((resolve) => {
      assertPlace(filter);
      const { workspace, workflow } = filter;
      const all = [...this.#kept.values()].map(({ schedule }) => schedule);
      resolve(all.filter((one) => (workspace ?? one.workspace) === one.workspace && (workflow ?? one.workflow) === one.workflow));
    });
  }

  cancel(address: RunAddress, id: string): Promise<void> {
    return new Promise((resolve) => {
      this.#find(address, id).timer?.cancel();
      this.#kept.delete(this.broker.options.names.schedule(address, id));
      resolve();
    });
  }

  #find(address: RunAddress, id: string): Kept {
    assertAddress(address);
    assertName('schedule id', id);
    const kept = this.#kept.get(this.broker.options.names.schedule(address, id));
    if (!kept) throw new LoopstackError('SCHEDULE_UNKNOWN', { id, ...address });
    return kept;
  }

  #put(...[id, recurrence, workflow, workspace, payload, userId, options = {}]: Parameters<ScheduleStore['put']>): Schedule {
    assertName('schedule id', id);
    assertOptions(options);
    const { broker } = this;
    const { timeZone, headers = {}, priority = 'normal' } = options;
    const pattern = recurrencePattern(recurrence);
    const { data } = prepareCommand(broker.producing, workflow, workspace, payload, userId, { priority, headers });
    const next = nextOf(pattern, timeZone);
    const address = { workspace, workflow };
    const key = broker.options.names.schedule(address, id);
    const kept = this.#kept.get(key);
    if (kept && isSame(kept, { pattern, timeZone, priority, headers, data })) return kept.schedule;
    kept?.timer?.cancel();
    const since = broker.clock.isoNow();
    const zone = timeZone === undefined ? {} : { timeZone };
    const stored = decodeRunCommand(data);
    const schedule: Schedule = { ...address, id, recurrence: pattern, ...stored, priority, since, ...zone };
    const made: Kept = { schedule, next, data, headers, timer: undefined };
    this.#kept.set(key, made);
    this.#plan(made, broker.clock.nowMs());
    return schedule;
  }

  #plan(kept: Kept, afterMs: number): void {
    const dueMs = kept.next(afterMs);
    if (dueMs === undefined) return;
    const { broker } = this;
    kept.timer = broker.clock.at(dueMs, () => {
      // Before its run, so that a reader finds the next time planned.
      this.#plan(kept, dueMs);
      const { schedule, data, headers } = kept;
      broker.runs.append(broker.options.names.run(schedule, schedule.priority), data, headers);
    });
  }
}

interface Wanted {
  readonly pattern: string;
  readonly timeZone: string | undefined;
  readonly priority: Priority;
  readonly headers: Headers;
  readonly data: Uint8Array;
}

function isSame({ schedule, headers, data }: Kept, wanted: Wanted): boolean {
  return (
    schedule.recurrence === wanted.pattern &&
    schedule.timeZone === wanted.timeZone &&
    schedule.priority === wanted.priority &&
    JSON.stringify(headers) === JSON.stringify(wanted.headers) &&
    Buffer.compare(data, wanted.data) === 0
  );
}

/** The first time after another one. @throws LoopstackError SCHEDULE_INVALID */
function nextOf(pattern: string, timeZone: string | undefined): Kept['next'] {
  const refused = (reason: string): LoopstackError => {
    const value = timeZone === undefined ? pattern : `${pattern} in ${timeZone}`;
    return new LoopstackError('SCHEDULE_INVALID', { value: printable(value, 100), reason });
  };
  const everyMs = periodOf(pattern);
  if (everyMs !== undefined) {
    if (!(everyMs >= 1000)) throw refused('message schedules pattern is invalid');
    return (afterMs) => afterMs + everyMs;
  }
  if (!CRON.test(pattern) || SUNDAY_AS_7.test(pattern)) throw refused('message schedules pattern is invalid');
  try {
    const cron = new Cron(pattern, { paused: true, timezone: timeZone ?? 'Etc/UTC' });
    if (!cron.nextRun(new Date(0))) throw refused('it never comes');
    return (afterMs) => cron.nextRun(new Date(afterMs))?.getTime();
  } catch (error) {
    throw error instanceof LoopstackError ? error : refused((error as Error).message);
  }
}

/** Of `@every 1h30m`, in milliseconds; NaN for one that cannot be read, undefined for a cron expression. */
function periodOf(pattern: string): number | undefined {
  const period = /^@every\s+(.*)$/.exec(pattern)?.[1];
  if (period === undefined) return undefined;
  const parts = [...period.matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== period) return Number.NaN;
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (UNIT_MS[unit as string] as number), 0);
}

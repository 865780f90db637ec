import { durationMs, type Duration } from '../value/duration.js';
import { LoopstackError, jsonType } from '../error.js';
import type { Headers } from '../message/header.js';
import type { Priority, RunAddress } from '../names/subject.js';
import { printable } from '../value/text.js';

/**
 * A cron expression of five fields (minute hour day month weekday) or six (with the second first), `@hourly`, `@daily`, `@weekly`,
 * `@monthly`, `@yearly`; or a period.
 */
export type Recurrence = string | { readonly every: Duration };

export interface ScheduleOptions {
  /** IANA name, such as `Europe/Berlin`, in which a cron expression is read. Default UTC. Needs nats-server 2.14. */
  readonly timeZone?: string;
  /** Headers that each run sees in `ctx.headers`. */
  readonly headers?: Headers;
  /** Default `normal`. */
  readonly priority?: Priority;
}

/** A recurring run, kept by the server. */
export interface Schedule extends RunAddress {
  readonly id: string;
  /** The cron expression, or `@every 10m0s`, as the server has it. */
  readonly recurrence: string;
  readonly timeZone?: string;
  readonly payload: unknown;
  readonly userId: string;
  readonly priority: Priority;
  /** ISO 8601; when it was created or last replaced. */
  readonly since: string;
}

/** A recurrence as the broker has it. @throws LoopstackError SCHEDULE_INVALID, OPTION_INVALID */
export function recurrencePattern(recurrence: Recurrence): string {
  if (typeof recurrence === 'string') {
    const pattern = recurrence.trim();
    const value = printable(JSON.stringify(recurrence), 100);
    if (pattern === '') throw new LoopstackError('SCHEDULE_INVALID', { value, reason: 'it is empty' });
    if (/^@at\b/i.test(pattern))
      throw new LoopstackError('SCHEDULE_INVALID', { value, reason: 'one time is a run with `at`, not a schedule' });
    if (pattern.startsWith('@')) return pattern;
    const fields = pattern.split(/\s+/).length;
    // Without seconds, as crontab has it: the server wants all six.
    if (fields === 5) return `0 ${pattern}`;
    if (fields !== 6) throw new LoopstackError('SCHEDULE_INVALID', { value, reason: `${fields} fields instead of 5 or 6` });
    return pattern;
  }
  if (typeof recurrence !== 'object' || recurrence === null)
    throw new LoopstackError('SCHEDULE_INVALID', { value: jsonType(recurrence), reason: 'it is neither a text nor a period' });
  const ms = durationMs('every', recurrence.every);
  if (ms < 1000 || ms % 1000 !== 0)
    throw new LoopstackError('SCHEDULE_INVALID', { value: `every ${String(recurrence.every)}`, reason: 'a period has whole seconds' });
  return `@every ${ms / 1000}s`;
}

import type { Duration } from './duration.js';
import type { Headers } from './header.js';
import type { Priority, RunAddress } from './subject.js';

/** Six fields (second minute hour day month weekday) or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`; or a period. */
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

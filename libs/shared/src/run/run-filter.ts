import { RUN_STATUSES, type RunInfo, type RunStatus } from '../message/event.js';
import { integerFrom, invalidOption } from '../value/option.js';
import type { RunFilter } from './run.js';
import { assertPlace } from '../names/subject.js';

const DEFAULT_LIMIT = 100;

/**
 * A filter of runs, checked; without `statuses` any status is wanted.
 * @throws LoopstackError NAME_INVALID, OPTION_INVALID
 */
export function resolveRunFilter(filter: RunFilter): { readonly limit: number; readonly statuses: ReadonlySet<RunStatus> | undefined } {
  const { limit = DEFAULT_LIMIT, userId } = filter;
  assertPlace(filter);
  integerFrom('limit', 1, limit);
  if (userId !== undefined && typeof userId !== 'string') throw invalidOption('userId', 'a text', userId);
  for (const name of ['since', 'until'] as const) {
    const time = filter[name];
    if (time !== undefined && !(time instanceof Date && !Number.isNaN(time.getTime()))) throw invalidOption(name, 'a valid Date', time);
  }
  return { limit, statuses: statusSet(filter.status) };
}

/** Order of a list: those that changed last first. Ids begin with the time, and count within a millisecond. */
export function newestFirst(a: RunInfo, b: RunInfo): number {
  return changedMs(b) - changedMs(a) || (a.id < b.id ? 1 : -1);
}

function statusSet(status: RunFilter['status']): ReadonlySet<RunStatus> | undefined {
  if (status === undefined) return undefined;
  const statuses: readonly RunStatus[] = typeof status === 'string' ? [status] : Array.isArray(status) ? status : [];
  const wrong = statuses.find((one) => !RUN_STATUSES.includes(one));
  if (wrong !== undefined || statuses.length === 0) throw invalidOption('status', `some of ${RUN_STATUSES.join(', ')}`, wrong ?? status);
  return new Set(statuses);
}

/** Whether a time is neither before `since` nor after `until`. */
export function isWithin(
  timeMs: number,
  { since, until }: { readonly since?: Date | undefined; readonly until?: Date | undefined },
): boolean {
  return timeMs >= (since?.getTime() ?? Number.NEGATIVE_INFINITY) && timeMs <= (until?.getTime() ?? Number.POSITIVE_INFINITY);
}

/** When a run last changed: the time of its last event, or of its command. */
export function changedMs({ updatedAt, queuedAt }: RunInfo): number {
  return Date.parse(updatedAt ?? queuedAt ?? '') || 0;
}

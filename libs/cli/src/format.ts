import { ago as agoAt } from '@loopstack/operations';
import { durationMs, localMs, printable, type Duration, type RunEvent, type RunInfo } from '@loopstack/shared/contract';
import { UsageError } from './exit.js';

export { bytes, count, many, span } from '@loopstack/operations';

let nowMs: () => number = localMs;

/** From the connection on, times are told by the server's clock: what they are compared with is of its making. */
export function tellTimeBy(clock: () => number): void {
  nowMs = clock;
}

/** How long ago; empty for an unknown time. */
export const ago = (iso: string | undefined, sinceMs = nowMs()): string => agoAt(iso, sinceMs);

/** A time as a user gives it: ISO 8601, or how long ago (`2h`). @throws UsageError */
export function timeOf(option: string, text: string, fromMs = nowMs()): Date {
  if (/^\d+(\.\d+)?(ms|s|m|h|d)$/.test(text)) return new Date(fromMs - durationMs(option, text as Duration));
  const time = Date.parse(text);
  if (Number.isNaN(time)) throw new UsageError(`--${option} ${text}: expected a time (2026-01-31T12:00:00Z) or how long ago (2h)`);
  return new Date(time);
}

/** @throws UsageError */
export function integerOf(option: string): (text: string) => number {
  return (text) => {
    const value = Number(text.replaceAll('_', ''));
    if (!Number.isSafeInteger(value) || value < 0) throw new UsageError(`--${option} ${text}: expected a whole number`);
    return value;
  };
}

/** @throws UsageError */
export function numberOf(option: string): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isFinite(value)) throw new UsageError(`--${option} ${text}: expected a number`);
    return value;
  };
}

/** Collects an option that may be given several times. */
export const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

/** All others are under way. */
const STATUS_STYLE = {
  queued: 'cyan',
  retrying: 'yellow',
  succeeded: 'green',
  failed: 'red',
  canceled: 'magenta',
  expired: 'magenta',
} as const;

type StatusStyle = 'blue' | (typeof STATUS_STYLE)[keyof typeof STATUS_STYLE];

export const styleOf = (status: RunInfo['status'] | RunEvent['type']): StatusStyle =>
  Object.hasOwn(STATUS_STYLE, status) ? STATUS_STYLE[status as keyof typeof STATUS_STYLE] : 'blue';

/** Characters of an event that are shown. */
const MAX_LINE = 100_000;

/** One event on one line. */
export function eventLine(
  { type, at, attempt, error, result, progress, nextAttemptAt, worker }: RunEvent,
  style: (text: string) => string,
): string {
  const details = [
    attempt > 0 ? `attempt ${attempt}` : '',
    error ? `${error.code}: ${error.message}` : '',
    result === undefined ? '' : JSON.stringify(result),
    progress === undefined ? '' : JSON.stringify(progress),
    nextAttemptAt === undefined ? '' : `next attempt ${ago(nextAttemptAt)}`,
    worker === undefined ? '' : `on ${worker}`,
  ];
  const told = printable(details.filter(Boolean).join('  '), MAX_LINE);
  return `${printable(at.slice(11, 23))}  ${style(type.padEnd(9))}  ${told}`.trimEnd();
}

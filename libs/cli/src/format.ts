import { localMs, type RunEvent, type RunInfo } from '@loopstack/shared/contract';
import { durationMs, printable, type Duration } from '@loopstack/shared/contract';
import { UsageError } from './exit.js';

const number = new Intl.NumberFormat('en-US');

export const count = (value: number): string => number.format(value);

/** `3 runs`, `1 run`. */
export const many = (value: number, one: string, more = `${one}s`): string => `${count(value)} ${value === 1 ? one : more}`;

/** How long, in the two largest units. */
export function span(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const s = Math.round(ms / 1000);
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

let nowMs: () => number = localMs;

/** From the connection on, times are told by the server's clock: what they are compared with is of its making. */
export function tellTimeBy(clock: () => number): void {
  nowMs = clock;
}

/** How long ago; empty for a time that is not known. */
export function ago(iso: string | undefined, sinceMs = nowMs()): string {
  if (iso === undefined || iso === '') return '';
  const ms = sinceMs - Date.parse(iso);
  return ms < 0 ? `in ${span(-ms)}` : `${span(ms)} ago`;
}

const BYTES = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytes(value: number): string {
  const power = value < 1 ? 0 : Math.min(BYTES.length - 1, Math.floor(Math.log2(value) / 10));
  return `${power === 0 ? value : (value / 1024 ** power).toFixed(1)} ${BYTES[power]}`;
}

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

const STATUS_STYLE = {
  queued: 'cyan',
  started: 'blue',
  running: 'blue',
  progress: 'blue',
  retrying: 'yellow',
  succeeded: 'green',
  failed: 'red',
  canceled: 'magenta',
  expired: 'magenta',
} as const;

export const styleOf = (status: RunInfo['status'] | RunEvent['type']): (typeof STATUS_STYLE)[keyof typeof STATUS_STYLE] =>
  STATUS_STYLE[status];

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

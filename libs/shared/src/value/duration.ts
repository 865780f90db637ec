import { invalidOption } from './option.js';

const MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const BYTES = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** A time span: `'30s'`, `'1.5h'`, `'250ms'`, or a number of milliseconds. */
export type Duration = number | `${number}${keyof typeof MS}`;

/** A number of bytes: `'1MiB'`, `'64KiB'`, or a number. */
export type Size = number | `${number}${keyof typeof BYTES}`;

function parse(option: string, value: unknown, units: Readonly<Record<string, number>>, expected: string): number {
  if (typeof value === 'number' && value >= 0 && Number.isSafeInteger(Math.round(value))) return Math.round(value);
  const match = typeof value === 'string' ? /^(\d+(?:\.\d+)?)([A-Za-z]+)$/.exec(value) : null;
  const unit = match ? units[match[2] as string] : undefined;
  const parsed = match && unit !== undefined ? Math.round(Number(match[1]) * unit) : undefined;
  if (parsed === undefined || !Number.isSafeInteger(parsed)) {
    throw invalidOption(option, expected, value);
  }
  return parsed;
}

/** @throws LoopstackError OPTION_INVALID naming `option` */
export function durationMs(option: string, value: Duration): number {
  return parse(option, value, MS, "a duration such as '30s' (ms, s, m, h, d) or milliseconds");
}

/** A longer timer of Node.js fires at once: 2^31 - 1 ms, nearly 25 days. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** As `durationMs`, for what a timer waits: at most `LONGEST_TIMER_MS`. @throws LoopstackError OPTION_INVALID naming `option` */
export function timerMs(option: string, value: Duration): number {
  return Math.min(durationMs(option, value), LONGEST_TIMER_MS);
}

/** @throws LoopstackError OPTION_INVALID naming `option` */
export function sizeBytes(option: string, value: Size): number {
  return parse(option, value, BYTES, "a size such as '1MiB' (B, KiB, MiB, GiB) or a number of bytes");
}

import { LoopstackError, jsonType } from '../error.js';

/** Characters of a wrong value that an error shows. */
const SHOWN = 80;

/** The error OPTION_INVALID for an option of that name, showing the value that was given. */
export function invalidOption(option: string, expected: string, value: unknown): LoopstackError {
  return refusedOption(option, expected, shown(value));
}

/** As `invalidOption`, in words for what was received: a value that is secret, or that is none. */
export function refusedOption(option: string, expected: string, received: string): LoopstackError {
  return new LoopstackError('OPTION_INVALID', { option, expected, received });
}

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, SHOWN));
  if (value instanceof Date && Number.isNaN(value.getTime())) return 'an invalid date';
  return typeof value === 'number' ? String(value) : jsonType(value);
}

/** @throws LoopstackError OPTION_INVALID unless the value is an integer of at least `min` */
export function integerFrom(option: string, min: number, value: number): number {
  if (Number.isSafeInteger(value) && value >= min) return value;
  throw invalidOption(option, `an integer of at least ${min}`, value);
}

/** @throws LoopstackError OPTION_INVALID unless the value is a number from `min` to `max` */
export function numberBetween(option: string, min: number, max: number, value: unknown): number {
  if (typeof value === 'number' && value >= min && value <= max) return value;
  throw invalidOption(option, `a number from ${min} to ${max}`, value);
}

/** @throws LoopstackError OPTION_INVALID unless the value is an integer from `min` to `max` */
export function integerBetween(option: string, min: number, max: number, value: unknown): number {
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return value as number;
  throw invalidOption(option, `an integer from ${min} to ${max}`, value);
}

import { LoopstackError, jsonType } from './error.js';

/** Characters of a wrong value that an error shows. */
const SHOWN = 80;

/** The error OPTION_INVALID for an option of that name, showing the value that was given. */
export function invalidOption(option: string, expected: string, value: unknown): LoopstackError {
  return new LoopstackError('OPTION_INVALID', { option, expected, received: shown(value) });
}

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, SHOWN));
  return typeof value === 'number' ? String(value) : jsonType(value);
}

/** @throws LoopstackError OPTION_INVALID unless the value is an integer of at least `min` */
export function integerFrom(option: string, min: number, value: number): number {
  if (Number.isSafeInteger(value) && value >= min) return value;
  throw invalidOption(option, `an integer of at least ${min}`, value);
}

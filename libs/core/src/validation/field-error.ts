import { MAX_TEXT } from './limits.js';

/** One thing that is wrong with a payload. */
export interface FieldError {
  /** Where: `items[2].sku`, `meta["a.b"]`; `''` is the payload itself. */
  readonly path: string;
  /** The class-validator constraint that failed (`isInt`, `whitelistValidation`), or one of ours (refusals.ts, library.ts). */
  readonly rule: string;
  readonly message: string;
  /** The JSON type of the value, `undefined` when there is none. Never the value: it may be a secret. */
  readonly received: string;
}

function receivedType(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

export function pathOfKey(parent: string, key: string): string {
  if (!/^[A-Za-z_$][\w$]*$/.test(key)) return `${parent}[${JSON.stringify(clip(key))}]`;
  return parent === '' ? key : `${parent}.${key}`;
}

export function pathOfIndex(parent: string, index: number | string): string {
  return `${parent}[${index}]`;
}

export function fieldError(path: string, rule: string, message: string | undefined, value: unknown): FieldError {
  return { path: clip(path), rule, message: clip(message ?? ''), received: receivedType(value) };
}

function clip(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT - 1)}…`;
}

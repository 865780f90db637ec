import { jsonType, type FieldError } from '@loopstack/shared';
import { MAX_TEXT } from './limits.js';

/** `address.city`, `meta["a.b"]`. A hostile key may be as long as the message that carries it, so keys, paths and messages are cut. */
export function pathOfKey(parent: string, key: string): string {
  if (!/^[A-Za-z_$][\w$]*$/.test(key)) return `${parent}[${JSON.stringify(clip(key))}]`;
  return parent === '' ? key : `${parent}.${key}`;
}

export function pathOfIndex(parent: string, index: number | string): string {
  return `${parent}[${index}]`;
}

export function fieldError(path: string, rule: string, message: string | undefined, value: unknown): FieldError {
  return { path: clip(path), rule, message: clip(message ?? ''), received: jsonType(value) };
}

function clip(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT - 1)}…`;
}

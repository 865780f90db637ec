import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { createInterface } from 'node:readline';
import { createReadStream } from 'node:fs';
import { UsageError } from './exit.js';

export function parseJson(what: string, json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new UsageError(`${what} is not JSON: ${(error as Error).message}`);
  }
}

/**
 * A payload from `key=value` pairs: `a.b=text` sets a string, `a.b:=json` a JSON value.
 * @throws UsageError
 */
export function payloadOf(pairs: readonly string[]): Record<string, unknown> {
  const payload: Record<string, unknown> = {};
  for (const pair of pairs) {
    const match = /^([^=:]+(?:\.[^=:]+)*?)(:?=)([\s\S]*)$/.exec(pair);
    if (!match) throw new UsageError(`--arg ${pair}: expected key=text or key:=json`);
    const [, path, how, value] = match as unknown as [string, string, string, string];
    set(payload, path.split('.'), how === ':=' ? parseJson(`--arg ${path}`, value) : value, pair);
  }
  return payload;
}

function set(target: Record<string, unknown>, path: readonly string[], value: unknown, pair: string): void {
  const [key, ...rest] = path as [string, ...string[]];
  // A key such as __proto__ is a key like others.
  const own = Object.hasOwn(target, key) ? target[key] : undefined;
  if (rest.length === 0) {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
    return;
  }
  if (own !== undefined && (typeof own !== 'object' || own === null)) throw new UsageError(`--arg ${pair}: ${key} has a value already`);
  const child = (own as Record<string, unknown> | undefined) ?? {};
  if (own === undefined) Object.defineProperty(target, key, { value: child, enumerable: true, configurable: true, writable: true });
  set(child, rest, value, pair);
}

/** The text of a file, or of standard input for `-`. @throws UsageError */
export async function readText(file: string, stdin: Readable): Promise<string> {
  try {
    return file === '-' ? await text(stdin) : readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${(error as NodeJS.ErrnoException).code ?? (error as Error).message}`);
  }
}

/** The lines of a file or of standard input that are not empty, numbered from 1; as they come. @throws UsageError */
export async function* readLines(file: string, stdin: Readable): AsyncGenerator<{ readonly number: number; readonly line: string }> {
  const input = file === '-' ? stdin : createReadStream(file);
  let number = 0;
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      number++;
      if (line.trim() !== '') yield { number, line };
    }
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${(error as NodeJS.ErrnoException).code ?? (error as Error).message}`);
  }
}

import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packageUrl } from '#package-url';
import { LoopstackError } from './error.js';

/** A package as the process has loaded it: where, and under which name. */
interface LoadedCopy {
  readonly name: string;
  readonly url: string;
}

/** The list that all copies share, of whichever version: its key and its members never change. */
const COPIES = Symbol.for('loopstack.copies');

const copies = (): LoadedCopy[] => ((globalThis as { [COPIES]?: LoadedCopy[] })[COPIES] ??= []);

/** Each package calls it where it is loaded. The same file again is no other copy: a test runner may reset its modules. */
export function recordCopy(name: string, url: string): void {
  if (!copies().some((copy) => copy.name === name && copy.url === url)) copies().push({ name, url });
}

/**
 * Two copies of a package have different classes: Nest does not inject the provider of one where the other's is asked for, and neither
 * recognizes the errors of the other.
 * @throws LoopstackError PACKAGE_DUPLICATED, which names the path of each copy
 */
export function assertOneCopy(): void {
  for (const { name, url } of copies()) {
    const others = copies().filter((copy) => copy.name === name && copy.url !== url);
    if (others.length === 0) continue;
    const found = [url, ...others.map((other) => other.url)].map((each) => described(name, each));
    throw new LoopstackError('PACKAGE_DUPLICATED', { name, copies: found.join(', ') });
  }
}

/** Its directory and version, or the bundle that has it inside. */
function described(name: string, url: string): string {
  try {
    const manifest = JSON.parse(readFileSync(new URL('../package.json', url), 'utf8')) as { name?: string; version?: string };
    if (manifest.name === name) return `${dirname(dirname(fileURLToPath(url)))} (${manifest.version})`;
  } catch {
    // No package.json stands beside a bundle, or it is not readable.
  }
  return `one inside ${fileURLToPath(url)}`;
}

recordCopy('@loopstack/shared', packageUrl);

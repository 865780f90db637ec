import { LoopstackError } from '../error.js';
import { unsafeInteger } from './number-literal.js';

/** Levels of arrays and objects that a body may nest. Recursive code (class-transformer) overflows at about 2,400. */
export const MAX_DEPTH = 64;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Members that one object may have. Parsing and checking 50,000 different keys takes 200 ms, in which a worker does
 * nothing else; the same bytes as an array take a tenth of that.
 */
export const MAX_MEMBERS = 4096;

/** Arrays and objects that a body may have, for the same reason: 200,000 empty ones take 100 ms. */
export const MAX_CONTAINERS = 65_536;

/** Members of the objects that are open, by depth. Scans do not overlap. */
const open = new Int32Array(1002);

const TOO_MANY_MEMBERS = `an object has more than ${MAX_MEMBERS} members`;
const TOO_MANY_CONTAINERS = `it has more than ${MAX_CONTAINERS} arrays and objects`;

interface Scan {
  readonly deep: boolean;
  /** What there is too much of. */
  readonly excess: string | undefined;
  /** Members of all objects, counted as colons outside strings. */
  readonly members: number;
  /** A `\ud…` escape occurs: a string may hold a lone surrogate. */
  readonly surrogates: boolean;
}

/** One pass over the raw bytes, before anything recursive sees them. */
function scan(bytes: Uint8Array, maxDepth: number): Scan {
  let depth = 0;
  let members = 0;
  let containers = 0;
  let surrogates = false;
  for (let i = 0; i < bytes.length; i++) {
    switch (bytes[i]) {
      case 0x22: // "
        for (i++; i < bytes.length && bytes[i] !== 0x22; i++) {
          if (bytes[i] === 0x5c) {
            i++;
            if (bytes[i] === 0x75 && ((bytes[i + 1] as number) | 0x20) === 0x64) surrogates = true; // \uD or \ud
          }
        }
        break;
      case 0x7b: // {
      case 0x5b: // [
        if (++depth > maxDepth) return { deep: true, excess: undefined, members, surrogates };
        if (++containers > MAX_CONTAINERS) return { deep: false, excess: TOO_MANY_CONTAINERS, members, surrogates };
        open[depth] = 0;
        break;
      case 0x7d:
      case 0x5d:
        depth--;
        break;
      case 0x3a: // :
        members++;
        // Below zero for what is no JSON anyway: too many brackets closed.
        if (depth > 0 && (open[depth] = (open[depth] as number) + 1) > MAX_MEMBERS) {
          return { deep: false, excess: TOO_MANY_MEMBERS, members, surrogates };
        }
        break;
      default:
    }
  }
  return { deep: false, excess: undefined, members, surrogates };
}

const problem = (reason: string): LoopstackError => new LoopstackError('BODY_NOT_IJSON', { reason });

/** Whether the value in hand has an integer beyond 2^53: its literal must be looked at. Scans do not overlap. */
let large = false;

/** Counts the members that parsing kept, and refuses what parsers read differently. Depth is bounded by then. */
function countMembers(value: unknown, strings: boolean): number {
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw problem('a number is beyond the range of a double');
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) large = true;
    return 0;
  }
  if (typeof value === 'string') {
    if (strings && !value.isWellFormed()) throw problem('a string holds a lone surrogate');
    return 0;
  }
  if (value === null || typeof value !== 'object') return 0;
  let members = 0;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) members += countMembers(value[i], strings);
    return members;
  }
  // Not Object.keys: a list for each of 200,000 objects takes as long as the rest.
  for (const key in value) {
    if (!Object.hasOwn(value, key)) continue;
    if (strings && !key.isWellFormed()) throw problem('a key holds a lone surrogate');
    members += 1 + countMembers((value as Record<string, unknown>)[key], strings);
  }
  return members;
}

/**
 * Parses a body as I-JSON (RFC 7493): UTF-8 without errors, no duplicate keys, no lone surrogates, no number beyond the
 * range of a double, no integer that a double would change. Two parsers that accept it read the same value.
 * @throws LoopstackError BODY_NOT_UTF8, BODY_TOO_DEEP, BODY_NOT_JSON, BODY_NOT_IJSON; COMMAND_INVALID for more than MAX_MEMBERS or MAX_CONTAINERS
 */
export function parseStrictJson(bytes: Uint8Array, maxDepth = MAX_DEPTH): unknown {
  const { deep, excess, members, surrogates } = scan(bytes, maxDepth);
  if (deep) throw new LoopstackError('BODY_TOO_DEEP', { limit: maxDepth });
  if (excess !== undefined) throw new LoopstackError('COMMAND_INVALID', { summary: excess });
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw new LoopstackError('BODY_NOT_UTF8');
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // V8 quotes the text in its messages: only the position is told, the payload may hold secrets.
    const position = /position \d+/.exec((error as Error).message)?.[0];
    throw new LoopstackError('BODY_NOT_JSON', { reason: bytes.length === 0 ? 'it is empty' : (position ?? 'it ends too early') });
  }
  large = false;
  if (countMembers(value, surrogates) !== members) throw problem('an object has the same key twice');
  if (large && unsafeInteger(text) !== undefined) throw problem('an integer beyond 2^53 is changed by a double');
  return value;
}

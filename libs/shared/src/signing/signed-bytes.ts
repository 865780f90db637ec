import { createHash } from 'node:crypto';
import { HEADER } from '../message/header.js';

/**
 * A header line as it is stored: the name, and the bytes behind the colon as Latin-1 (one character is one byte), without the
 * one space that most clients write there. Nothing is trimmed.
 */
export type HeaderLine = readonly [name: string, value: string];

/**
 * Headers that a command may have without their being signed: what the server writes, what clients write to store several
 * messages at once, and what tracing adds on the way. By their exact names. Any other header is signed.
 */
export const UNSIGNED_HEADERS: ReadonlySet<string> = new Set([
  HEADER.SIGNATURE,
  HEADER.TRACEPARENT,
  HEADER.TRACESTATE,
  HEADER.BATCH_ID,
  HEADER.BATCH_SEQUENCE,
  HEADER.BATCH_COMMIT,
  // A delayed command, when the server publishes it (NATS ADR-51) and the stream of runs takes it over.
  'Nats-Scheduler',
  'Nats-Schedule-Next',
  'Nats-TTL',
  'Nats-Stream-Source',
]);

const FIRST_LINE = 'NATS/1.0\r\n';
const NAME = /^[!-9;-~]+$/;
const LINE_END = /[\r\n]/;

/** The lines of a header block (NATS ADR-4); undefined for one that readers could take for other headers than the server does. */
export function headerLinesOf(block: Uint8Array): readonly HeaderLine[] | undefined {
  const text = Buffer.from(block.buffer, block.byteOffset, block.byteLength).toString('latin1');
  if (text === '') return [];
  if (!text.startsWith(FIRST_LINE) || !text.endsWith('\r\n\r\n')) return undefined;
  const inside = text.slice(FIRST_LINE.length, -2);
  if (inside === '') return [];
  const lines: HeaderLine[] = [];
  for (const line of inside.slice(0, -2).split('\r\n')) {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon));
    const value = line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (!NAME.test(name) || LINE_END.test(value)) return undefined;
    lines.push([name, value]);
  }
  return lines;
}

/**
 * The bytes that are signed, in any language: `loopstack-command-2`, the subject, the SHA-256 of the body in lower-case hex, and
 * `<name>:<value>` of every header that is not in UNSIGNED_HEADERS, sorted by their bytes; joined by line feeds.
 */
export function signedBytes(subject: string, data: Uint8Array, headers: Iterable<HeaderLine>): Buffer {
  const lines: string[] = [];
  for (const [name, value] of headers) if (!UNSIGNED_HEADERS.has(name)) lines.push(`${name}:${value}`);
  const body = createHash('sha256').update(data).digest('hex');
  const head = `loopstack-command-2\n${Buffer.from(subject).toString('latin1')}\n${body}`;
  return Buffer.from([head, ...lines.sort()].join('\n'), 'latin1');
}

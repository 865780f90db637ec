import { hash, randomBytes, randomFillSync } from 'node:crypto';
import { localMs } from '../value/clock.js';

/**
 * Run ids are UUIDs (RFC 9562) whose version tells where they come from:
 * - 7: made by a producer; carries its time, so a command without an event is found by a short scan from there
 * - 8: derived by the worker from time and sequence of a command that came without an id
 * - 8, variant `b`: derived from an event and the workflow that it starts: the same event is the same run
 * - 5: derived from an idempotency key: the same key is the same run
 */
export type RunIdOrigin = 'producer' | 'sequence' | 'event' | 'key' | 'foreign';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[578][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
/** Places of version and variant in a UUID. */
const VERSION = 14;
const VARIANT = 19;

export function runIdOrigin(runId: string): RunIdOrigin {
  if (!UUID.test(runId)) return 'foreign';
  switch (runId[VERSION]) {
    case '7':
      return 'producer';
    case '8':
      return runId[VARIANT] === 'b' ? 'event' : 'sequence';
    default:
      return 'key';
  }
}

/** Milliseconds since the epoch in an id of origin `producer`, `sequence` or `event` (when the event was stored), else undefined. */
export function runIdTime(runId: string): number | undefined {
  const origin = runIdOrigin(runId);
  if (origin === 'key' || origin === 'foreign') return undefined;
  return Number.parseInt(runId.slice(0, 8) + runId.slice(9, 13), 16);
}

/** Random hexadecimal digits, made for many ids at once; 16 an id. */
const RANDOM = Buffer.alloc(8 * 512);
let digits = '';
let used = 0;
let lastMs = 0;
let timeDigits = '';
let counter = 0;
/** Further back than a burst of ids runs ahead of its time. */
const SET_BACK_MS = 60_000;

/** A new UUIDv7, strictly increasing within a process unless its clock is set back by a minute or more (RFC 9562 6.2, method 1: a 12-bit counter). */
export function newRunId(now = localMs()): string {
  // A clock that was put right: what was made by the wrong one is no reason to go on with it.
  if (lastMs - now > SET_BACK_MS) lastMs = 0;
  if (now <= lastMs && ++counter > 0xfff) now = lastMs + 1;
  if (now > lastMs) {
    lastMs = now;
    counter = 0;
    const time = now.toString(16).padStart(12, '0');
    timeDigits = `${time.slice(0, 8)}-${time.slice(8)}-7`;
  }
  if (used === digits.length) {
    digits = randomFillSync(RANDOM).toString('hex');
    used = 0;
  }
  const at = used;
  used += 16;
  const count = counter > 0xff ? counter.toString(16) : counter > 0xf ? `0${counter.toString(16)}` : `00${counter.toString(16)}`;
  const variant = '89ab'[digits.charCodeAt(at) & 3] as string;
  return `${timeDigits}${count}-${variant}${digits.slice(at + 1, at + 4)}-${digits.slice(at + 4, at + 16)}`;
}

/** A new UUIDv7 with a time of its own: that at which a delayed command will be stored. */
export function newRunIdAt(timeMs: number): string {
  const time = Math.max(0, Math.trunc(timeMs)).toString(16).padStart(12, '0');
  const random = randomBytes(10).toString('hex');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(0, 3)}-${'89ab'[Number.parseInt(random.slice(3, 4), 16) & 3] as string}${random.slice(4, 7)}-${random.slice(8)}`;
}

/** The id of the `sequence`-th message of a stream, stored at `timeMs`. */
export function sequenceRunId(timeMs: number, sequence: number): string {
  const time = Math.trunc(timeMs).toString(16).padStart(12, '0');
  const tail = sequence.toString(16).padStart(14, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-8000-80${tail.slice(0, 2)}-${tail.slice(2)}`;
}

/** The sequence in an id of origin `sequence`. */
export function runIdSequence(runId: string): number | undefined {
  return runIdOrigin(runId) === 'sequence' ? Number.parseInt(runId.slice(21, 23) + runId.slice(24), 16) : undefined;
}

/** The id of the run that an idempotency key of a workflow names. The name parts are joined by NUL, which is in none of them. */
export function keyedRunId(workspace: string, workflow: string, key: string): string {
  const h = hash('sha1', `loopstack\0${workspace}\0${workflow}\0${key}`, 'buffer');
  h[6] = ((h[6] as number) & 0x0f) | 0x50;
  h[8] = ((h[8] as number) & 0x3f) | 0x80;
  const s = h.toString('hex', 0, 16);
  return `${s.slice(0, 8)}-${s.slice(8, 12)}-${s.slice(12, 16)}-${s.slice(16, 20)}-${s.slice(20)}`;
}

/**
 * The id of the run that an event starts: the message at `sequence` of `stream`, stored at `timeMs`. Time first, so that
 * ids of events of one time are neighbors; the rest is a hash, because a stream of that name may be made anew.
 */
export function eventRunId(workspace: string, workflow: string, stream: string, sequence: number, timeMs: number): string {
  const time = Math.trunc(timeMs).toString(16).padStart(12, '0');
  const h = hash('sha1', `loopstack\0${workspace}\0${workflow}\0${stream}\0${sequence}\0${time}`, 'hex');
  return `${time.slice(0, 8)}-${time.slice(8)}-8${h.slice(0, 3)}-b${h.slice(3, 6)}-${h.slice(6, 18)}`;
}

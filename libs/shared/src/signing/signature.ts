import { localMs } from '../value/clock.js';
import { sign, verify, type KeyObject } from 'node:crypto';
import { durationMs, type Duration } from '../value/duration.js';
import { HEADER, type Headers } from '../message/header.js';
import { keyPairOf, publicKeyOf } from './nkey.js';
import { signedBytes, type HeaderLine } from './signed-bytes.js';

/** A command before it is signed. */
export interface UnsignedCommand {
  readonly subject: string;
  /** All headers with which it will be stored, the message id among them: none can be added afterwards. */
  readonly headers: Headers;
  readonly data: Uint8Array;
  /** Milliseconds since the epoch at which the command is stored, where that is later than now. The server gives it no message id then. */
  readonly dueMs?: number;
  /** Milliseconds since the epoch by the server's clock; default: by this machine's. */
  readonly nowMs?: number;
}

/** Headers that prove where a command comes from. */
export type CommandSigner = (command: UnsignedCommand) => Headers;

/** How long before and after its making a signature may be stored, by default. Keep it below the stream's deduplication window (2 min): that is what a replay inside it meets. */
const VALIDITY_MS = 60_000;
const CLOCK_SKEW_MS = 5000;

/** What a signer writes; a command that is signed anew leaves these behind. */
const OF_A_SIGNATURE: ReadonlySet<string> = new Set([HEADER.SIGNER, HEADER.SIGNED_FROM, HEADER.SIGNED_UNTIL, HEADER.SIGNATURE]);

export function isSignatureHeader(name: string): boolean {
  return OF_A_SIGNATURE.has(name);
}

const latin1 = (text: string): string => Buffer.from(text).toString('latin1');

/**
 * Signs commands with a user's NKey (Ed25519).
 * @param seed `SU…`
 * @param options `validity`: time within which the server must store the command; default 60 s
 * @throws LoopstackError OPTION_INVALID
 */
export function commandSigner(seed: string, options: { readonly validity?: Duration } = {}): CommandSigner {
  const { privateKey, nkey } = keyPairOf(seed);
  const validityMs = options.validity === undefined ? VALIDITY_MS : durationMs('validity', options.validity);
  return ({ subject, headers, data, dueMs, nowMs = localMs() }) => {
    const own = {
      [HEADER.SIGNER]: nkey,
      ...(dueMs === undefined ? {} : { [HEADER.SIGNED_FROM]: new Date(dueMs).toISOString() }),
      [HEADER.SIGNED_UNTIL]: new Date((dueMs ?? nowMs) + validityMs).toISOString(),
    };
    const lines = Object.entries({ ...headers, ...own }).map(([name, value]): HeaderLine => [name, latin1(value)]);
    const signature = sign(null, signedBytes(subject, data, lines), privateKey).toString('base64url');
    return { ...own, [HEADER.SIGNATURE]: `2.${signature}` };
  };
}

/** Whose commands are trusted. */
export interface Trust {
  /** Public NKeys (`U…`). */
  readonly signers: readonly string[];
  /** Longest time between the storing of a command and the end of its signature. Default `'2m'`: the deduplication window. */
  readonly maxValidity?: Duration;
}

export interface ResolvedTrust {
  readonly keys: ReadonlyMap<string, KeyObject>;
  readonly maxValidityMs: number;
}

/** @throws LoopstackError OPTION_INVALID */
export function resolveTrust(option: string, trust: Trust): ResolvedTrust {
  return {
    keys: new Map(trust.signers.map((nkey) => [nkey, publicKeyOf(nkey, `${option}.signers`)])),
    maxValidityMs: durationMs(`${option}.maxValidity`, trust.maxValidity ?? '2m'),
  };
}

/** A command as it is stored. */
export interface StoredCommand {
  readonly subject: string;
  /** Undefined where its headers cannot be told byte by byte. */
  readonly lines: readonly HeaderLine[] | undefined;
  readonly data: Uint8Array;
  /** When the server stored it, by its clock. */
  readonly timeMs: number;
}

/** RFC 3339 in UTC: a time without a zone would be another one in each worker. */
const UTC_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/;
const SIGNATURE = /^2\.([A-Za-z0-9_-]{86})$/;

const timeOf = (text: string): number => (UTC_TIME.test(text) ? Date.parse(text) : Number.NaN);

/** Why a stored command is not trusted; undefined if it is. Looks at bytes alone: nothing of the command is decoded before. */
export function untrustedReason({ subject, lines, data, timeMs }: StoredCommand, trust: ResolvedTrust): string | undefined {
  if (lines === undefined) return 'its headers cannot be read';
  const headers = new Map(lines);
  if (headers.size !== lines.length) return 'a header is there twice';
  const signer = headers.get(HEADER.SIGNER);
  const until = headers.get(HEADER.SIGNED_UNTIL);
  const signature = headers.get(HEADER.SIGNATURE);
  if (signer === undefined || until === undefined || signature === undefined) return 'it is not signed';
  const key = trust.keys.get(signer);
  if (!key) return 'its signer is not trusted here';
  const [, base64] = SIGNATURE.exec(signature) ?? [];
  if (base64 === undefined) {
    return signature.startsWith('2.')
      ? 'its signature does not fit'
      : 'its signature has version 1, which does not cover its headers: upgrade what signs it';
  }
  const late = untimely(headers.get(HEADER.SIGNED_FROM), until, timeMs, trust.maxValidityMs);
  if (late !== undefined) return late;
  // The server gives none to a command that it publishes when it is due.
  if (!headers.get(HEADER.MSG_ID) && !headers.has(HEADER.SIGNED_FROM)) return `it has no ${HEADER.MSG_ID}`;
  if (!verify(null, signedBytes(subject, data, lines), key, Buffer.from(base64, 'base64url'))) return 'its signature does not fit';
  return undefined;
}

function untimely(from: string | undefined, until: string, storedMs: number, maxValidityMs: number): string | undefined {
  const untilMs = timeOf(until);
  if (Number.isNaN(untilMs)) return 'its signature has no valid expiry';
  if (from !== undefined) {
    const fromMs = timeOf(from);
    if (Number.isNaN(fromMs)) return 'its signature has no valid beginning';
    if (storedMs < fromMs - CLOCK_SKEW_MS) return 'it was stored before its time';
  }
  if (storedMs > untilMs) return 'its signature had expired when it was stored';
  return untilMs - storedMs > maxValidityMs + CLOCK_SKEW_MS ? 'its signature is valid for too long' : undefined;
}

import { createHash, sign, verify, type KeyObject } from 'node:crypto';
import { durationMs, type Duration } from './duration.js';
import { HEADER, type HeaderReader, type Headers } from './header.js';
import { keyPairOf, publicKeyOf } from './nkey.js';

/** Everything that a signature covers, beside its expiry. */
export interface UnsignedCommand {
  readonly subject: string;
  readonly messageId: string;
  readonly userId: string;
  readonly data: Uint8Array;
  /** Milliseconds since the epoch at which the command is stored, where that is later than now. */
  readonly dueMs?: number;
}

/** Headers that prove where a command comes from. */
export type CommandSigner = (command: UnsignedCommand) => Headers;

/** How long before and after its making a signature may be stored, by default. Keep it below the stream's deduplication window (2 min): that is what a replay inside it meets. */
const VALIDITY_MS = 60_000;
const CLOCK_SKEW_MS = 5000;

/** The bytes that are signed: a version, then each part on a line of its own, texts as JSON so that none can hold a line break. */
function signedBytes({ subject, messageId, userId, data }: UnsignedCommand, expiresAt: string): Buffer {
  const body = createHash('sha256').update(data).digest('hex');
  return Buffer.from(
    ['loopstack-command-1', JSON.stringify(subject), JSON.stringify(messageId), JSON.stringify(userId), expiresAt, body].join('\n'),
  );
}

/**
 * Signs commands with a user's NKey (Ed25519).
 * @param seed `SU…`
 * @param options `validity`: time within which the server must store the command; default 60 s
 * @throws LoopstackError OPTION_INVALID
 */
export function commandSigner(seed: string, options: { readonly validity?: Duration } = {}): CommandSigner {
  const { privateKey, nkey } = keyPairOf(seed);
  const validityMs = options.validity === undefined ? VALIDITY_MS : durationMs('validity', options.validity);
  return (command) => {
    const expiresAt = new Date((command.dueMs ?? Date.now()) + validityMs).toISOString();
    const signature = sign(null, signedBytes(command, expiresAt), privateKey).toString('base64url');
    return { [HEADER.SIGNER]: nkey, [HEADER.SIGNED_UNTIL]: expiresAt, [HEADER.SIGNATURE]: signature };
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
    maxValidityMs: durationMs(`${option}.maxValidity`, trust.maxValidity ?? '2m') + CLOCK_SKEW_MS,
  };
}

/** Why a stored command is not trusted; undefined if it is. `storedMs`: when the server stored it, by its clock. */
export function distrust(command: UnsignedCommand, headers: HeaderReader, storedMs: number, trust: ResolvedTrust): string | undefined {
  const signer = headers.get(HEADER.SIGNER);
  const expiresAt = headers.get(HEADER.SIGNED_UNTIL);
  const signature = headers.get(HEADER.SIGNATURE);
  if (signer === undefined || expiresAt === undefined || signature === undefined) return 'it is not signed';
  const key = trust.keys.get(signer);
  if (!key) return 'its signer is not trusted here';
  const untilMs = Date.parse(expiresAt);
  if (Number.isNaN(untilMs)) return 'its signature has no valid expiry';
  if (storedMs > untilMs) return 'its signature had expired when it was stored';
  if (untilMs - storedMs > trust.maxValidityMs) return 'its signature is valid for too long';
  if (!verify(null, signedBytes(command, expiresAt), key, Buffer.from(signature, 'base64url'))) return 'its signature does not fit';
  return undefined;
}

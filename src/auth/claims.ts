import { isUserId } from '@loopstack/shared';

/** Seconds by which the clock of the issuer may be ahead. */
const CLOCK_TOLERANCE_S = 30;

/** The claims that this worker reads (RFC 7519, 4.1; `scope` is of RFC 8693, 4.2). Anything may stand in a token. */
export interface Claims {
  readonly sub?: unknown;
  readonly iat?: unknown;
  readonly exp?: unknown;
  readonly scope?: unknown;
}

/** The user that a request's token names. */
export interface AuthenticatedUser {
  readonly id: string;
  readonly scopes: readonly string[];
}

/**
 * The user of a token whose signature, issuer, audience and expiry have been checked; undefined where the token proves nothing.
 * A token must say when it was issued and when it ends: one without an end, or for longer than `maxAgeS`, cannot be waited out
 * once it has leaked. Pure.
 * @param nowS seconds since the epoch
 */
export function userOf({ sub, iat, exp, scope }: Claims, nowS: number, maxAgeS: number): AuthenticatedUser | undefined {
  if (!isUserId(sub) || !isTime(iat) || !isTime(exp)) return undefined;
  if (iat > nowS + CLOCK_TOLERANCE_S || exp - iat > maxAgeS) return undefined;
  return { id: sub, scopes: typeof scope === 'string' ? scope.split(' ').filter(Boolean) : [] };
}

function isTime(claim: unknown): claim is number {
  return typeof claim === 'number' && Number.isFinite(claim) && claim >= 0;
}

import { LoopstackError, durationMs, type DeadReason, type Duration, integerBetween, numberBetween } from '@loopstack/shared';

/** When a failed attempt is made again. */
export interface RetryOptions {
  /** Attempts in all, the first one included. Default 3. */
  readonly attempts?: number;
  /** Wait before the second attempt. Default `'1s'`. */
  readonly delay?: Duration;
  /** Each further wait is this many times the one before. Default 2. */
  readonly factor?: number;
  /** Longest wait, jitter included. Default `'5m'`. */
  readonly maxDelay?: Duration;
  /** Each wait is moved by up to this share of itself, up or down, so that failures that came together do not return together. 0 to 1, default 0.1. */
  readonly jitter?: number;
}

export interface RetryPolicy {
  readonly attempts: number;
  readonly delayMs: number;
  readonly factor: number;
  readonly maxDelayMs: number;
  readonly jitter: number;
}

/** @throws LoopstackError OPTION_INVALID naming the option */
export function resolveRetry(option: string, given: RetryOptions = {}): RetryPolicy {
  return Object.freeze({
    attempts: integerBetween(`${option}.attempts`, 1, 1_000_000, given.attempts ?? 3),
    delayMs: durationMs(`${option}.delay`, given.delay ?? '1s'),
    factor: numberBetween(`${option}.factor`, 1, 100, given.factor ?? 2),
    maxDelayMs: durationMs(`${option}.maxDelay`, given.maxDelay ?? '5m'),
    jitter: numberBetween(`${option}.jitter`, 0, 1, given.jitter ?? 0.1),
  });
}

/**
 * Milliseconds until the next attempt after `attempt` (from 1) has failed.
 * @param random uniform in [0, 1)
 */
export function retryDelayMs(policy: RetryPolicy, attempt: number, random: number): number {
  const exponential = policy.delayMs * policy.factor ** (attempt - 1);
  const jittered = Math.min(exponential, policy.maxDelayMs) * (1 + policy.jitter * (2 * random - 1));
  return Math.round(Math.min(jittered, policy.maxDelayMs));
}

/** How one execution of a run ended. */
export type Outcome =
  | {
      readonly kind: 'succeeded';
      /** JSON text; undefined for a result of `undefined`, or one that is not recorded. */ readonly json: string | undefined;
    }
  /** `thrown`: the workflow threw this very error. */
  | { readonly kind: 'failed'; readonly error: LoopstackError; readonly retryable: boolean; readonly thrown?: true }
  | { readonly kind: 'timeout'; readonly error: LoopstackError }
  | { readonly kind: 'invalid'; readonly error: LoopstackError }
  | { readonly kind: 'untrusted'; readonly error: LoopstackError }
  | { readonly kind: 'worker-died'; readonly error: LoopstackError }
  | { readonly kind: 'expired'; readonly error: LoopstackError }
  /** An outcome stands already. */
  | { readonly kind: 'already-settled' }
  /** The caller that canceled the run has recorded it. */
  | { readonly kind: 'canceled' }
  /** The worker shuts down: the run is given back and its attempt does not count. */
  | { readonly kind: 'shutdown' }
  /** Another worker may have the run: whatever this one did is void. */
  | { readonly kind: 'lease-lost' };

/** What becomes of the message. The one function that touches it carries this out and decides nothing. */
export type Settlement =
  | { readonly action: 'ack' }
  | { readonly action: 'succeed'; readonly json: string | undefined }
  | { readonly action: 'expire'; readonly error: LoopstackError }
  | { readonly action: 'retry'; readonly delayMs: number; readonly error: LoopstackError }
  | { readonly action: 'dead'; readonly reason: DeadReason; readonly error: LoopstackError }
  | { readonly action: 'return' }
  | { readonly action: 'drop' };

/**
 * The delivery decision: an outcome, the attempt it belongs to and the policy, to what becomes of the message. Pure.
 * @param random uniform in [0, 1), for the jitter
 */
export function settle(outcome: Outcome, attempt: number, policy: RetryPolicy, random: number): Settlement {
  switch (outcome.kind) {
    case 'succeeded':
      return { action: 'succeed', json: outcome.json };
    case 'failed':
    case 'timeout': {
      const again = attempt < policy.attempts && (outcome.kind === 'timeout' || outcome.retryable);
      if (again) return { action: 'retry', delayMs: retryDelayMs(policy, attempt, random), error: outcome.error };
      return { action: 'dead', reason: outcome.kind, error: outcome.error };
    }
    case 'invalid':
    case 'untrusted':
    case 'worker-died':
      return { action: 'dead', reason: outcome.kind, error: outcome.error };
    case 'expired':
      return { action: 'expire', error: outcome.error };
    case 'canceled':
    case 'already-settled':
      return { action: 'ack' };
    case 'shutdown':
      return { action: 'return' };
    case 'lease-lost':
      return { action: 'drop' };
  }
}

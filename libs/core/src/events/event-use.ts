import { LoopstackError, NO_HEADERS, decodeRunCommand, encodeRunCommand } from '@loopstack/shared';
import { retryDelayMs, type RetryPolicy } from '../run/settle.js';
import { isA, reasonOf } from '../run/thrown.js';
import { assertValid } from '../validation/check-payload.js';
import type { PayloadValidator } from '../validation/payload-validator.js';

/** What an event comes to: a run, nothing, or a reason why it cannot be used. */
export type EventUse =
  /** `command`: the body of the run command. */
  | { readonly kind: 'start'; readonly command: Uint8Array; readonly userId: string }
  | { readonly kind: 'skip' }
  | { readonly kind: 'invalid'; readonly error: LoopstackError };

/** The workflow that an event starts. */
export interface EventTarget {
  readonly workspace: string;
  readonly workflow: string;
  readonly validator: PayloadValidator | undefined;
}

/** How an event is read; each part may throw. */
export interface EventReading {
  readonly wanted: () => unknown;
  readonly payload: () => unknown;
  readonly userId: () => unknown;
}

/**
 * Reads an event for a workflow. What the reading throws, a payload that the workflow refuses and a user that is missing make the event
 * invalid: another delivery would end the same, so it is never tried again by itself.
 * @param invalid makes the error for what was thrown and is no error of ours
 */
export async function readEvent(
  reading: EventReading,
  target: EventTarget,
  maxDepth: number,
  invalid: (reason: string, cause: unknown) => LoopstackError,
): Promise<EventUse> {
  try {
    const wanted = reading.wanted();
    if (!(isThenable(wanted) ? await wanted : wanted)) return { kind: 'skip' };
    const mapped = reading.payload();
    const payload: unknown = isThenable(mapped) ? await mapped : mapped;
    const named = reading.userId();
    const userId = (isThenable(named) ? await named : named) as string;
    const command = encodeRunCommand({ payload, userId });
    if (target.validator) {
      // What the worker will read, not what is here.
      const validated = target.validator.validate(decodeRunCommand(command, NO_HEADERS, maxDepth).payload);
      assertValid(target.workflow, isThenable(validated) ? await validated : validated);
    }
    return { kind: 'start', command, userId };
  } catch (thrown) {
    return { kind: 'invalid', error: isA(thrown, LoopstackError) ? thrown : invalid(reasonOf(thrown), thrown) };
  }
}

function isThenable<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}

/** How the handling of one delivery of an event ended. */
export type EventOutcome =
  /** Handled, or not wanted. */
  | { readonly kind: 'done' }
  /** Another delivery would end the same. */
  | { readonly kind: 'invalid'; readonly error: LoopstackError }
  /** What handles it failed, and may not the next time. */
  | { readonly kind: 'failed'; readonly error: LoopstackError }
  /** The broker did not take what came of it. */
  | { readonly kind: 'unavailable'; readonly error: LoopstackError };

export type EventSettlement =
  | { readonly action: 'ack' }
  | { readonly action: 'retry'; readonly delayMs: number; readonly error: LoopstackError }
  /** Kept as a dead letter. */
  | { readonly action: 'dead'; readonly reason: 'invalid' | 'failed'; readonly error: LoopstackError }
  /** Reported to watchers, then dropped. */
  | { readonly action: 'abandon'; readonly error: LoopstackError };

export interface EventPolicy {
  readonly retry: RetryPolicy;
  /** What becomes of an event that cannot be used: a dead letter, or a line in the log and an alarm. */
  readonly afterwards: 'dead' | 'abandon';
}

/** Longest wait before an event is delivered again whose effect the broker did not take. */
const UNAVAILABLE_MAX_MS = 30_000;

/**
 * What becomes of an event. Pure. Nothing is given up because the broker was away: such an event comes again for ever.
 * @param delivery from 1
 * @param random uniform in [0, 1), for the jitter
 */
export function settleEvent(outcome: EventOutcome, delivery: number, policy: EventPolicy, random: number): EventSettlement {
  const giveUp = (reason: 'invalid' | 'failed', error: LoopstackError): EventSettlement =>
    policy.afterwards === 'dead' ? { action: 'dead', reason, error } : { action: 'abandon', error };
  switch (outcome.kind) {
    case 'done':
      return { action: 'ack' };
    case 'invalid':
      return giveUp('invalid', outcome.error);
    case 'unavailable':
      return { action: 'retry', delayMs: Math.min(UNAVAILABLE_MAX_MS, retryDelayMs(policy.retry, delivery, random)), error: outcome.error };
    case 'failed':
      if (delivery >= policy.retry.attempts) return giveUp('failed', outcome.error);
      return { action: 'retry', delayMs: retryDelayMs(policy.retry, delivery, random), error: outcome.error };
  }
}

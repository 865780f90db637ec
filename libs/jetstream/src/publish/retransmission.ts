import type { Pending } from './queue/pending.js';
import { TICK_MS, ticksOf } from './queue/ticks.js';

/**
 * A message with an id that has had no answer for so long is written again, if the server answered others that were written after it, or
 * none at all: the message, or its acknowledgement, was lost with a leader. A server that is only slow answers in order.
 */
const UNANSWERED_TICKS = 50;
/** Ticks until a message is written again that no server took. */
const RETRY_TICKS = 5;
/**
 * Nothing listens while a stream elects its leader. Where a stream has acknowledged before, that is worth waiting for; elsewhere it
 * rather says that there is no stream, and becomes an error after two more tries.
 */
const UNAVAILABLE_RETRIES = 2;

/** What the answers so far say: the message written last of those that were acknowledged, and when. */
export interface Answered {
  readonly lastToken: number;
  readonly acknowledgedAt: number;
}

/** When a message that is written now times out. */
export function deadlineAt(timeoutMs: number, tick: number): number {
  return tick + ticksOf(timeoutMs) + 1;
}

/** When a message that is written now is written again, if there is no answer; 0: never. */
export function resendAt({ resendable, timeoutMs }: Pick<Pending, 'resendable' | 'timeoutMs'>, tick: number): number {
  return resendable ? tick + Math.min(UNANSWERED_TICKS, Math.ceil(timeoutMs / TICK_MS / 2)) : 0;
}

/** When a message is written again that no server took. */
export function retryAt(tick: number): number {
  return tick + RETRY_TICKS;
}

/**
 * Whether a message that no server took may wait for one.
 * @param proven the server has acknowledged a message before
 * @param unseen no server has seen the message, so that it can be written again even without an id
 */
export function mayRetry(
  { resendable, maybeStored, written }: Pick<Pending, 'resendable' | 'maybeStored' | 'written'>,
  proven: boolean,
  unseen: boolean,
): boolean {
  return (resendable || unseen) && (proven || maybeStored || written <= UNAVAILABLE_RETRIES);
}

/** Whether it is time to write a message again. */
export function isDue(token: number, pending: Pick<Pending, 'resendAt' | 'unavailable'>, answered: Answered, tick: number): boolean {
  return pending.resendAt !== 0 && pending.resendAt <= tick && isLost(token, pending, answered, tick);
}

function isLost(token: number, { unavailable }: Pick<Pending, 'unavailable'>, answered: Answered, tick: number): boolean {
  return unavailable !== undefined || token < answered.lastToken || tick - answered.acknowledgedAt >= UNANSWERED_TICKS;
}

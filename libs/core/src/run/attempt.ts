import { isOutcome, type RunEvent } from '@loopstack/shared';
import type { RetryPolicy } from './settle.js';

/** What a worker does with a command that was delivered before, or whose run may have been claimed elsewhere. */
export type Examination =
  /**
   * `alone`: its last attempt, after one that died untold: it runs when no other suspect does, so that the run that kills processes is told from those beside it.
   * `strict`: that attempt has been made, and died while other suspects ran beside it: it is made once more, with no suspect beside it at all.
   * `begun`: a worker has said that it started the run, so that its deadline does not count any more.
   */
  | { readonly action: 'run'; readonly attempt: number; readonly alone: boolean; readonly begun: boolean; readonly strict?: true }
  /** An outcome stands, or another command holds the run's key: acknowledge without running. `failed`: the dead letter of this command may be missing. */
  | { readonly action: 'already-settled'; readonly failed: boolean }
  /** The process died in the last attempt. */
  | { readonly action: 'died'; readonly attempt: number };

/**
 * Counts attempts from what is known: the number of deliveries and the run's last event. The happy path records
 * nothing before its outcome, so a second delivery without an event counts as one attempt that died. Every attempt
 * after the first records `started`, so a process that crashes with a hundred commands prefetched costs those that it
 * had not started no further attempt. A workflow of a single attempt records `started` even for that one.
 */
export function examine(deliveries: number, sequence: number, last: RunEvent | undefined, policy: RetryPolicy): Examination {
  if (last && isOutcome(last.type))
    return { action: 'already-settled', failed: last.type === 'failed' && (last.sequence ?? sequence) === sequence };
  // A keyed run belongs to the command that claimed it; a redrive names its own command.
  if (last?.sequence !== undefined && last.sequence !== sequence) return { action: 'already-settled', failed: false };
  const attempt = attemptAfter(deliveries, last, policy);
  const told = last?.type === 'retrying' || last?.type === 'queued';
  // What was announced is made, also where this release has fewer attempts than the one that announced it.
  if (attempt > policy.attempts && !told) {
    // It need not have been this one that ended the process.
    if (last?.beside === true) return { action: 'run', attempt: policy.attempts, alone: true, begun: true, strict: true };
    return { action: 'died', attempt: policy.attempts };
  }
  // Deliveries say nothing: most of those that a process had when it died were waiting for a place in it.
  const begun = last !== undefined && (last.type !== 'queued' || last.attempt > 0);
  return { action: 'run', attempt, alone: attempt > 1 && attempt === policy.attempts && !told, begun };
}

function attemptAfter(deliveries: number, last: RunEvent | undefined, policy: RetryPolicy): number {
  if (last === undefined) return deliveries > 1 && policy.attempts > 1 ? 2 : 1;
  switch (last.type) {
    case 'queued': {
      // Claimed, redriven or given back. A first attempt leaves no trace, so deliveries since then count as one; after a refusal it leaves one.
      const untold = last.attempt === 0 && last.refusal === undefined && deliveries - (last.deliveries ?? 0) > 1 && policy.attempts > 1;
      return last.attempt + (untold ? 2 : 1);
    }
    case 'started':
    case 'progress':
    case 'retrying':
      return last.attempt + 1;
    default:
      return 1;
  }
}

/** Whether an attempt records `started` before it runs, so that its death is counted exactly. */
export function recordsStart(attempt: number, policy: RetryPolicy, last?: RunEvent): boolean {
  return attempt > 1 || policy.attempts === 1 || last?.refusal !== undefined;
}

import type { DeadLetter, DeadReason } from './dead-letter.js';
import { LoopstackError, type ErrorCode } from '../error.js';

export interface DeadLetterFilter {
  readonly workspace?: string;
  readonly workflow?: string;
  readonly reason?: DeadReason;
  readonly runId?: string;
  readonly since?: Date;
  readonly until?: Date;
  /** Letters that are returned, or worked on. Default: 100 for a list, all for a redrive or discard. */
  readonly limit?: number;
}

/** One letter by its sequence, several, or all that match. */
export type DeadLetterSelection = number | readonly number[] | DeadLetterFilter;

export interface DeadLetterReport {
  /** Sequences of the letters that were redriven or discarded. */
  readonly done: readonly number[];
  /** Letters that could not be, and why; they are still there. `code` is absent where the server did not answer. */
  readonly failed: readonly { readonly deadSequence: number; readonly reason: string; readonly code?: ErrorCode }[];
}

/** Whether a filter selects a letter; its place is looked at elsewhere. @param timeMs when the letter was stored */
export function isSelected({ reason, runId }: DeadLetter, timeMs: number, filter: DeadLetterFilter): boolean {
  if (timeMs < (filter.since?.getTime() ?? Number.NEGATIVE_INFINITY)) return false;
  if (timeMs > (filter.until?.getTime() ?? Number.POSITIVE_INFINITY)) return false;
  return (filter.reason ?? reason) === reason && (filter.runId ?? runId) === runId;
}

/** Where letters are. */
export interface LetterSource {
  /** @throws LoopstackError DEAD_LETTER_UNKNOWN */
  one(deadSequence: number): DeadLetter | Promise<DeadLetter>;
  each(filter: DeadLetterFilter): AsyncIterable<DeadLetter>;
}

/** Works on the selected letters, one after the other; one that fails stops no other. */
export async function workOnLetters(
  selection: DeadLetterSelection,
  source: LetterSource,
  work: (letter: DeadLetter) => void | Promise<void>,
): Promise<DeadLetterReport> {
  const done: number[] = [];
  const failed: { deadSequence: number; reason: string; code?: ErrorCode }[] = [];
  const attempt = async (deadSequence: number, letter: () => DeadLetter | Promise<DeadLetter>): Promise<void> => {
    try {
      await work(await letter());
      done.push(deadSequence);
    } catch (error) {
      failed.push({ deadSequence, reason: (error as Error).message, ...(error instanceof LoopstackError ? { code: error.code } : {}) });
    }
  };
  if (typeof selection === 'number' || Array.isArray(selection)) {
    for (const deadSequence of [selection].flat() as number[]) await attempt(deadSequence, () => source.one(deadSequence));
  } else {
    for await (const letter of source.each(selection as DeadLetterFilter)) await attempt(letter.deadSequence, () => letter);
  }
  return { done, failed };
}

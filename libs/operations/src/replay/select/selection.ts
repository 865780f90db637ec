import { LoopstackError } from '@loopstack/shared/contract';
import type { ReplayCommand, ReplayOrigin } from '../request.js';

/** A decoded command of the source that a replay may publish. */
export interface Candidate {
  readonly command: ReplayCommand;
  readonly origin: ReplayOrigin;
  /** Times that its run was redriven. */
  readonly redriven: number;
}

/** A candidate that passed every check, encoded: its body and its own header lines fit into a message. */
export interface ReadyCommand extends Candidate {
  /** The command as the source holds it: a preview shows it beside `command`. */
  readonly original: ReplayCommand;
  readonly data: Uint8Array;
  readonly lines: string;
}

/**
 * What a replay decides about one message of its source. `SourceReader` selects candidates, `CommandSelector` makes them ready.
 *
 * - `skipped`: the request does not select it
 * - `replayed`: a replay published it
 * - `dropped`: the transform dropped it
 * - `invalid`: selected, but it would become a dead letter
 */
export type Selection<Command extends Candidate = ReadyCommand> = { readonly sequence: number } & (
  | { readonly kind: 'skipped' | 'replayed' | 'dropped' }
  | { readonly kind: 'invalid'; readonly error: LoopstackError }
  | { readonly kind: 'selected'; readonly command: Command }
);

export const skipped = (sequence: number): { readonly sequence: number; readonly kind: 'skipped' } => ({ sequence, kind: 'skipped' });

/** @param error anything that was thrown */
export function invalid(
  sequence: number,
  error: unknown,
): { readonly sequence: number; readonly kind: 'invalid'; readonly error: LoopstackError } {
  return { sequence, kind: 'invalid', error: asLoopstackError(error) };
}

function asLoopstackError(error: unknown): LoopstackError {
  if (error instanceof LoopstackError) return error;
  let summary: string;
  try {
    summary = error instanceof Error ? `${error.name}: ${error.message}` : `it threw ${typeof error}`;
  } catch {
    // Getters of the thrown value throw themselves.
    summary = 'it threw an error that cannot be read';
  }
  return new LoopstackError('COMMAND_INVALID', { summary }, { cause: error });
}

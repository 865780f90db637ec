import type { DeadLetter } from './dead-letter.js';
import { LoopstackError } from '../error.js';
import { statusOf, type RunEvent } from './event.js';
import { HEADER, emptyHeaders, isServerHeader } from './header.js';
import { isSignatureHeader } from '../signing/signature.js';

/** Headers of the command that a dead letter is sent again as. The run id is the letter's: also for a command that came without one. */
export function redriveHeaders(letter: DeadLetter, deadStream: string): Record<string, string> {
  const headers = Object.assign(emptyHeaders(), letter.headers);
  headers[HEADER.RUN_ID] = letter.runId;
  headers[HEADER.REDRIVEN] = String(letter.redriven + 1);
  for (const name of Object.keys(headers)) if (isServerHeader(name) || isSignatureHeader(name)) delete headers[name];
  headers[HEADER.MSG_ID] = `redrive:${deadStream}:${letter.deadSequence}`;
  return headers;
}

/** How a run stands to one of its dead letters: `reopen` it, its command is to be sent (`opened`), or it has been redriven (`done`). */
export type Reopening = 'reopen' | 'opened' | 'done';

/** The decision about a redrive, from the history of the run. A run whose events have aged out failed last as far as is known. */
export class RedriveDecision {
  #last: RunEvent | undefined;
  #redriven: RunEvent | undefined;

  constructor(private readonly letter: DeadLetter) {}

  /** The events of the run, in order. */
  seen(event: RunEvent): void {
    this.#last = event;
    if (event.redriveOf === this.letter.deadSequence) this.#redriven = event;
  }

  /** @throws LoopstackError RUN_NOT_FAILED */
  decide(): Reopening {
    if (this.#redriven) return this.#redriven === this.#last ? 'opened' : 'done';
    if (this.#last && this.#last.type !== 'failed')
      throw new LoopstackError('RUN_NOT_FAILED', { runId: this.letter.runId, status: statusOf(this.#last) });
    return 'reopen';
  }
}

import { KEPT_INVALID, invalidCommand, type InvalidCommand, type ReplayCounts, type ReplayState } from '../replay-log.js';
import type { Selection } from '../select/selection.js';

/** How far a replay is: counts of all messages up to a place in its source. */
export interface Position {
  readonly counts: ReplayCounts;
  readonly position: number;
}

/**
 * Counts the selections of a replay. Two places matter: how far it has read, and how far everything is stored. The record and a
 * resumption go by the second one. Pure.
 */
export class Tally {
  readonly #counts: { -readonly [K in keyof ReplayCounts]: number };
  readonly #invalid: InvalidCommand[];
  readonly #mostInvalid: number;
  #scanned: number;
  #stored: Position;
  /** Selected commands that are not stored yet. */
  #unsettled = 0;

  /** @param mostInvalid refused commands that are kept */
  constructor({ counts, position, invalid }: Pick<ReplayState, 'counts' | 'position' | 'invalid'>, mostInvalid = KEPT_INVALID) {
    this.#mostInvalid = mostInvalid;
    this.#counts = { ...counts };
    this.#invalid = [...invalid];
    this.#scanned = position;
    this.#stored = { counts, position };
  }

  /** Sequence of the last message that was counted. */
  get scanned(): number {
    return this.#scanned;
  }

  get matched(): number {
    return this.#counts.matched;
  }

  /** Up to here every selected command is stored. */
  get stored(): Position {
    return this.#stored;
  }

  get invalid(): readonly InvalidCommand[] {
    return this.#invalid;
  }

  /** Counts of what was read; `published` counts only what is stored. */
  get shown(): ReplayCounts {
    return { ...this.#counts, published: this.#stored.counts.published };
  }

  add(selection: Selection): void {
    const counts = this.#counts;
    this.#scanned = selection.sequence;
    counts.read++;
    switch (selection.kind) {
      case 'skipped':
        return;
      case 'replayed':
        counts.replayed++;
        return;
      case 'dropped':
        counts.matched++;
        counts.dropped++;
        return;
      case 'invalid':
        counts.matched++;
        counts.invalid++;
        if (this.#invalid.length < this.#mostInvalid) this.#invalid.push(invalidCommand(selection.sequence, selection.error));
        return;
      case 'selected':
        counts.matched++;
        this.#unsettled++;
    }
  }

  /** A batch of all selected commands is on its way. @returns the place for its checkpoint */
  flush(published: number, busy: number): Position {
    this.#counts.published += published;
    this.#counts.busy += busy;
    this.#unsettled -= busy;
    return { counts: { ...this.#counts }, position: this.#scanned };
  }

  /** A batch is stored, with its checkpoint. */
  store(commands: number, { counts, position }: Position): void {
    this.#unsettled -= commands;
    this.#stored = { counts, position };
  }

  /** Where no command waits to be stored, everything that was read is done. */
  settle(): void {
    if (this.#unsettled === 0) this.#stored = { counts: { ...this.#counts }, position: this.#scanned };
  }
}

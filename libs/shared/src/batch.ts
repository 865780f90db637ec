import type { LoopstackError } from './error.js';
import type { RunHandle, RunItem } from './run.js';
import type { RunAddress } from './subject.js';

/** What became of the items of `runMany` so far. */
export interface RunManyProgress {
  /** Items whose command is stored. */
  readonly accepted: number;
  /** Of these, those that were there already. */
  readonly duplicates: number;
  readonly failed: number;
}

export interface RunManyOptions {
  /** Called after each thousand of items, and at the end. */
  readonly onProgress?: (progress: RunManyProgress) => void;
  /** Called with the handle of each item that was accepted. Without it, handles are not kept. */
  readonly onAccepted?: (run: RunHandle, index: number) => void;
  /** Called before an item is started; an item for which it throws is a failure of its own. */
  readonly check?: (item: RunItem) => void | Promise<void>;
  /** Items that are taken from the source before the first of them is accepted. Default 4,096. */
  readonly concurrency?: number;
  /** Ends the taking of further items; those that were taken are waited for. */
  readonly signal?: AbortSignal;
  /** Failures that the report tells in full; others are only counted. Default 1,000. */
  readonly maxFailures?: number;
}

export interface RunFailure {
  /** Place of the item in the source, from 0. */
  readonly index: number;
  readonly address: RunAddress;
  readonly error: LoopstackError;
}

export interface RunManyReport extends RunManyProgress {
  /** The `maxFailures` failures that came first, by index. */
  readonly failures: readonly RunFailure[];
}

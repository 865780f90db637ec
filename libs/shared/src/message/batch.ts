import { LoopstackError } from '../error.js';
import { invalidOption } from '../value/option.js';
import type { RunHandle, RunItem } from '../run/run.js';
import type { RunAddress } from '../names/subject.js';

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
  /** Called with the handle of each item that was accepted. It costs throughput: each command is stored by itself. */
  readonly onAccepted?: (run: RunHandle, index: number) => void;
  /** Reports the ids of the runs. Default false: the report of a million runs would take 60 MB. */
  readonly keepIds?: boolean;
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
  /** With `keepIds`: the id of the run of each item, by index; undefined for an item that failed. */
  readonly runIds?: readonly (string | undefined)[];
}

/** Runs in an all-or-nothing batch (NATS ADR-50, the server's default limit). */
export const MAX_FAN_OUT = 1000;

/** @throws LoopstackError OPTION_INVALID for what is no object, such as a hole of a list */
export function assertRunItem(item: unknown, index: number): void {
  if (typeof item === 'object' && item !== null) return;
  throw invalidOption(`items[${index}]`, 'an object with workflow, workspace, payload and userId', item);
}

/**
 * The items of an all-or-nothing batch. A source without an end is read as far as it takes to refuse it.
 * @throws LoopstackError BATCH_TOO_LARGE, OPTION_INVALID
 */
export function fanOutItems(items: Iterable<RunItem>): RunItem[] {
  const all: RunItem[] = [];
  for (const item of items) {
    if (all.length === MAX_FAN_OUT) throw new LoopstackError('BATCH_TOO_LARGE', { size: `more than ${MAX_FAN_OUT}`, limit: MAX_FAN_OUT });
    assertRunItem(item, all.length);
    all.push(item);
  }
  if (all.length === 0) throw new LoopstackError('BATCH_TOO_LARGE', { size: 0, limit: MAX_FAN_OUT });
  return all;
}

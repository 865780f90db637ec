import { monotonicMs } from '@loopstack/shared/contract';
import type { ReplayCounts } from '../replay-log.js';

/** How far a replay is while it goes on. */
export interface ReplayProgress {
  readonly id: string;
  readonly counts: ReplayCounts;
  /** Sequence of the source up to which it has read. */
  readonly scanned: number;
  readonly bound: number;
  /** In this process, without pauses. */
  readonly elapsedMs: number;
  /** Commands published per second, of late. */
  readonly perSecond: number;
  /** Undefined before there is anything to estimate by. */
  readonly leftMs: number | undefined;
  /** What it waits for. */
  readonly waiting: 'rate' | 'queue' | 'server' | 'pause' | undefined;
}

/** Speed is measured over this time. */
const LATELY_MS = 5000;

/** Measures how fast a replay goes, and when it will be through. */
export class Meter {
  readonly #id: string;
  readonly #bound: number;
  readonly #limit: number;
  readonly #startedMs = monotonicMs();
  #published: { readonly atMs: number; readonly count: number }[] = [];
  #first: number | undefined;
  #matchedBefore = 0;
  #heldMs = 0;
  #heldSinceMs: number | undefined;

  constructor(id: string, bound: number, limit: number) {
    this.#id = id;
    this.#bound = bound;
    this.#limit = limit;
  }

  /** Without the time that it was paused. */
  get elapsedMs(): number {
    return (this.#heldSinceMs ?? monotonicMs()) - this.#startedMs - this.#heldMs;
  }

  /** A pause begins. */
  hold(): void {
    this.#heldSinceMs ??= monotonicMs();
  }

  /** It is over. */
  goOn(): void {
    this.#heldMs += monotonicMs() - (this.#heldSinceMs ?? monotonicMs());
    this.#heldSinceMs = undefined;
  }

  /** @param sequence of the first message that this process reads @param matched commands that were selected before it */
  begin(sequence: number, matched: number): void {
    if (this.#first !== undefined) return;
    this.#first = sequence;
    this.#matchedBefore = matched;
  }

  stored(count: number): void {
    this.#published.push({ atMs: monotonicMs(), count });
  }

  progress(counts: ReplayCounts, scanned: number, waiting: ReplayProgress['waiting']): ReplayProgress {
    const { elapsedMs } = this;
    const since = monotonicMs() - LATELY_MS;
    this.#published = this.#published.filter(({ atMs }) => atMs > since);
    const recent = this.#published.reduce((sum, { count }) => sum + count, 0);
    const perSecond = Math.round((recent * 1000) / Math.max(1, Math.min(elapsedMs, LATELY_MS)));
    const leftMs = this.#left(counts, scanned);
    return { id: this.#id, counts: { ...counts }, scanned, bound: this.#bound, elapsedMs, perSecond, leftMs, waiting };
  }

  #left({ matched }: ReplayCounts, scanned: number): number | undefined {
    if (this.#first === undefined) return undefined;
    const read = (scanned - this.#first + 1) / Math.max(1, this.#bound - this.#first + 1);
    const found = Number.isFinite(this.#limit) ? (matched - this.#matchedBefore) / Math.max(1, this.#limit - this.#matchedBefore) : 0;
    const done = Math.max(read, found);
    return done > 0.001 ? Math.round((this.elapsedMs * Math.max(0, 1 - done)) / done) : undefined;
  }
}

import { monotonicMs } from '@loopstack/shared/contract';
import type { ReplayCounts } from './replay-log.js';

/** How a replay stands while it goes on. */
export interface ReplayProgress {
  readonly id: string;
  readonly counts: ReplayCounts;
  /** Sequence of the source up to which it has looked. */
  readonly scanned: number;
  readonly bound: number;
  /** In this process, without pauses. */
  readonly elapsedMs: number;
  /** Commands published per second, of late. */
  readonly perSecond: number;
  /** Undefined before there is anything to judge by. */
  readonly leftMs: number | undefined;
  /** What it waits for. */
  readonly waiting: 'rate' | 'queue' | 'server' | 'pause' | undefined;
}

/** Speed is told over this time. */
const LATELY_MS = 5000;

/** Measures how fast a replay goes, and when it will be through. */
export class Meter {
  readonly #startedMs = monotonicMs();
  #published: { readonly atMs: number; readonly count: number }[] = [];
  #first: number | undefined;
  #matchedBefore = 0;
  #heldMs = 0;
  #heldSinceMs: number | undefined;

  constructor(
    private readonly id: string,
    private readonly bound: number,
    private readonly limit: number,
  ) {}

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

  /** The first message that this process looks at. */
  begin(sequence: number, matched: number): void {
    this.#first ??= sequence;
    this.#matchedBefore = matched;
  }

  stored(count: number): void {
    this.#published.push({ atMs: monotonicMs(), count });
  }

  progress(counts: ReplayCounts, scanned: number, waiting: ReplayProgress['waiting']): ReplayProgress {
    const { id, bound, elapsedMs } = this;
    const since = monotonicMs() - LATELY_MS;
    this.#published = this.#published.filter(({ atMs }) => atMs > since);
    const recent = this.#published.reduce((sum, { count }) => sum + count, 0);
    const perSecond = Math.round((recent * 1000) / Math.max(1, Math.min(elapsedMs, LATELY_MS)));
    return { id, counts: { ...counts }, scanned, bound, elapsedMs, perSecond, leftMs: this.#left(counts, scanned), waiting };
  }

  #left({ matched }: ReplayCounts, scanned: number): number | undefined {
    if (this.#first === undefined) return undefined;
    const read = (scanned - this.#first + 1) / Math.max(1, this.bound - this.#first + 1);
    const found = Number.isFinite(this.limit) ? (matched - this.#matchedBefore) / Math.max(1, this.limit - this.#matchedBefore) : 0;
    const done = Math.max(read, found);
    return done > 0.001 ? Math.round((this.elapsedMs * Math.max(0, 1 - done)) / done) : undefined;
  }
}

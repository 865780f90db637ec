import { monotonicMs } from '@loopstack/shared/contract';
import type { JetStreamApi } from '@loopstack/jetstream';
import { NO_COUNTS, type InvalidCommand, type ReplayCounts } from './replay-log.js';
import { Meter, type ReplayProgress } from './run/meter.js';
import { Tally } from './run/tally.js';
import type { CommandSelector } from './select/command-selector.js';
import type { ReplayCommand, ReplayOrigin } from './request.js';
import type { ResolvedReplay } from './select/resolve.js';
import { StreamScan, isPast } from './select/stream-scan.js';

/** A command as the source holds it and as the replay would publish it. */
export interface ReplayExample {
  readonly origin: ReplayOrigin;
  readonly before: ReplayCommand;
  readonly after: ReplayCommand;
}

/** What a replay would do. */
export interface ReplayPreview {
  readonly counts: Omit<ReplayCounts, 'published' | 'busy'>;
  /** Commands that would be published. */
  readonly ready: number;
  readonly bound: number;
  readonly examples: readonly ReplayExample[];
  readonly invalid: readonly InvalidCommand[];
  readonly elapsedMs: number;
  /** How long the replay would take, from the time of the scan and the rate. Waiting for `maxQueued` is not in it. */
  readonly estimatedMs: number;
}

export interface PreviewOptions {
  readonly id: string;
  readonly bound: number;
  readonly examples: number;
  readonly onProgress?: (progress: ReplayProgress) => void;
  readonly signal?: AbortSignal;
}

/** Commands a second that are stored where no rate is given; a small machine's (docs/adr/0006). */
const USUAL_RATE = 25_000;
const REPORT_MS = 250;

/** Reads and selects as the replay would, and publishes nothing. */
export async function previewReplay(
  api: JetStreamApi,
  replay: ResolvedReplay,
  selector: CommandSelector,
  options: PreviewOptions,
): Promise<ReplayPreview> {
  const { id, bound, signal, onProgress } = options;
  const { stream, subjects, sinceMs, fromSequence, untilMs, limit } = replay;
  const tally = new Tally({ counts: NO_COUNTS, position: 0, invalid: [] }, options.examples);
  const examples: ReplayExample[] = [];
  const meter = new Meter(id, bound, limit);
  let reportedMs = monotonicMs();
  const scan = new StreamScan(api, { stream, subjects, from: fromSequence, sinceMs, to: bound });
  search: for await (const messages of scan.lists(signal)) {
    meter.begin(messages[0]?.sequence ?? 1, 0);
    for (const selection of (await selector.select(messages, signal)) ?? []) {
      tally.add(selection);
      if (selection.kind === 'selected' && examples.length < options.examples) {
        const { origin, original: before, command: after } = selection.command;
        examples.push({ origin, before, after });
      }
      if (tally.matched >= limit) break search;
    }
    if (isPast(messages, untilMs)) break;
    if (onProgress && monotonicMs() - reportedMs >= REPORT_MS) {
      reportedMs = monotonicMs();
      onProgress(meter.progress(tally.shown, tally.scanned, undefined));
    }
  }
  signal?.throwIfAborted();
  const { elapsedMs } = meter;
  const { published: _published, busy: _busy, ...counts } = tally.shown;
  const ready = counts.matched - counts.invalid - counts.dropped;
  const estimatedMs = Math.max(elapsedMs, Math.round((ready * 1000) / (replay.rate ?? USUAL_RATE)));
  return { counts, ready, bound, examples, invalid: tally.invalid, elapsedMs, estimatedMs };
}

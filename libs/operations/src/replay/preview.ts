import { monotonicMs } from '@loopstack/shared/contract';
import type { JetStreamApi } from '@loopstack/jetstream';
import type { CommandSelector, ReadyCommand } from './select/command-selector.js';
import { Meter, type ReplayProgress } from './meter.js';
import { invalidCommand, type InvalidCommand, type ReplayCounts } from './replay-log.js';
import type { ReplayCommand, ReplayOrigin } from './request.js';
import type { ResolvedReplay } from './select/resolve.js';
import { StreamScan, isPast } from './select/stream-scan.js';

/** A command as it was and as it would be published. */
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

/** Reads and judges as the replay would, and publishes nothing. */
export async function previewReplay(
  api: JetStreamApi,
  replay: ResolvedReplay,
  judge: CommandSelector,
  options: PreviewOptions,
): Promise<ReplayPreview> {
  const { id, bound, signal, onProgress } = options;
  const counts = { read: 0, matched: 0, invalid: 0, replayed: 0, dropped: 0 };
  const examples: ReplayExample[] = [];
  const invalid: InvalidCommand[] = [];
  const meter = new Meter(id, bound, replay.limit);
  let ready = 0;
  let scanned = 0;
  let reportedMs = monotonicMs();
  const { stream, subjects, sinceMs, fromSequence, limit } = replay;
  const scan = new StreamScan(api, { stream, subjects, from: fromSequence, sinceMs, to: bound });
  search: for await (const messages of scan.lists(signal)) {
    meter.begin(messages[0]?.sequence ?? 1, 0);
    for (const verdict of (await judge.judge(messages, signal)) ?? []) {
      scanned = verdict.sequence;
      counts.read++;
      if (verdict.kind === 'replayed') counts.replayed++;
      if (verdict.kind === 'replayed' || verdict.kind === 'other') continue;
      counts.matched++;
      if (verdict.kind === 'dropped') counts.dropped++;
      if (verdict.kind === 'invalid') {
        counts.invalid++;
        if (invalid.length < options.examples) invalid.push(invalidCommand(verdict.sequence, verdict.error));
      }
      if (verdict.kind === 'ready') {
        ready++;
        if (examples.length < options.examples) examples.push(example(verdict.ready));
      }
      if (counts.matched >= limit) break search;
    }
    if (isPast(messages, replay.untilMs)) break;
    if (onProgress && monotonicMs() - reportedMs >= REPORT_MS) {
      reportedMs = monotonicMs();
      onProgress(meter.progress({ ...counts, published: 0, busy: 0 }, scanned, undefined));
    }
  }
  signal?.throwIfAborted();
  const { elapsedMs } = meter;
  const estimatedMs = Math.max(elapsedMs, Math.round((ready * 1000) / (replay.rate ?? USUAL_RATE)));
  return { counts, ready, bound, examples, invalid, elapsedMs, estimatedMs };
}

function example({ origin, original, command }: ReadyCommand): ReplayExample {
  return { origin, before: original, after: command };
}

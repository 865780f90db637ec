import { LoopstackError, monotonicMs } from '@loopstack/shared/contract';
import type { ReplayReport } from '../replay-log.js';
import type { ResolvedReplay } from '../select/resolve.js';
import type { Selection } from '../select/selection.js';
import { StreamScan, isPast } from '../select/stream-scan.js';
import { BatchWriter } from './batch-writer.js';
import { withCheckpoint } from './checkpoint.js';
import { TakenOverError } from './command-batches.js';
import { ReplayControl } from './control.js';
import { Meter, type ReplayProgress } from './meter.js';
import { batchSize } from './pace.js';
import { PendingBatch } from './pending-batch.js';
import { ProgressTicker } from './progress.js';
import { ReplayRecord } from './record.js';
import { Tally } from './tally.js';
import type { ReplayTools } from './tools.js';

/** How a caller watches and stops the work. */
export interface RunOptions {
  readonly onProgress?: ((progress: ReplayProgress) => void) | undefined;
  /** Stops the work; the replay is interrupted then, and can be resumed. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Works on one replay, in this process, until it has ended or is told to stop.
 * @throws LoopstackError REPLAY_LOST, REPLAY_BUSY if another process takes it over
 */
export async function runReplay(
  report: ReplayReport,
  replay: ResolvedReplay,
  tools: ReplayTools,
  options: RunOptions,
): Promise<ReplayReport> {
  return new ReplayRunner(await recovered(report, tools), replay, tools).run(options);
}

/** The last checkpoint tells what is published, whatever the record says. */
async function recovered(report: ReplayReport, { batches, names }: ReplayTools): Promise<ReplayReport> {
  const text = await batches.open();
  if (text !== undefined) return withCheckpoint(report, text, batches.checkpointSequence);
  if (report.checkpointSequence > 0) throw new LoopstackError('REPLAY_LOST', { id: report.id, stream: names.streams.runs });
  return report;
}

/** The data path of a replay: scan, select, collect into batches. */
class ReplayRunner {
  readonly #replay: ResolvedReplay;
  readonly #tools: ReplayTools;
  readonly #meter: Meter;
  readonly #tally: Tally;
  readonly #record: ReplayRecord;
  readonly #control: ReplayControl;
  readonly #writer: BatchWriter;
  readonly #pending: PendingBatch;

  constructor(report: ReplayReport, replay: ResolvedReplay, tools: ReplayTools) {
    this.#replay = replay;
    this.#tools = tools;
    this.#meter = new Meter(report.id, report.bound, replay.limit);
    this.#tally = new Tally(report);
    this.#record = new ReplayRecord(report, tools, this.#tally, this.#meter);
    this.#control = new ReplayControl(this.#record, this.#meter);
    const state = { control: this.#control, tally: this.#tally, meter: this.#meter, record: this.#record };
    this.#writer = new BatchWriter(report.id, replay, tools, state);
    this.#pending = new PendingBatch(batchSize(replay.rate), monotonicMs());
  }

  async run({ onProgress, signal }: RunOptions): Promise<ReplayReport> {
    const control = this.#control;
    await control.skipOld();
    const stop = (): void => control.stop();
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted) stop();
    await this.#record.save('running');
    const ticker = new ProgressTicker(this.#record.report.id, () => this.#progress(), onProgress);
    const attendant = control.attend();
    try {
      return await this.#workToEnd();
    } finally {
      stop();
      signal?.removeEventListener('abort', stop);
      ticker.tick();
      ticker.stop();
      await attendant;
    }
  }

  async #workToEnd(): Promise<ReplayReport> {
    const control = this.#control;
    try {
      const isThrough = await this.#work();
      await this.#writer.idle();
      control.throwIfFailed();
      const status = isThrough ? 'completed' : control.request === 'abort' ? 'aborted' : 'interrupted';
      await this.#record.end(status);
      if (status !== 'interrupted') await this.#tools.batches.clear();
    } catch (error) {
      control.stop();
      await this.#writer.idle();
      if (error instanceof TakenOverError) {
        const { id } = this.#record.report;
        const { runner } = await this.#tools.log.get(id);
        throw new LoopstackError('REPLAY_BUSY', { id, runner }, { cause: error });
      }
      await this.#record.end('interrupted', error);
    }
    return this.#record.report;
  }

  /** @returns whether it came to its end */
  async #work(): Promise<boolean> {
    const { stream, subjects, sinceMs, fromSequence, limit, untilMs } = this.#replay;
    const control = this.#control;
    const tally = this.#tally;
    if (tally.matched >= limit) return true;
    const from = tally.scanned > 0 ? tally.scanned + 1 : fromSequence;
    const scan = new StreamScan(this.#tools.api, { stream, subjects, from, sinceMs, to: this.#record.report.bound });
    for await (const messages of scan.lists(control.signal)) {
      const selections = await control.retryTransient(() => this.#tools.selector.select(messages, control.signal));
      if (!selections) return false;
      for (const selection of selections) {
        if (!(await this.#take(selection))) return false;
        if (tally.matched >= limit) return this.#flush();
      }
      tally.settle();
      if (isPast(messages, untilMs)) break;
      if (this.#pending.isDue(monotonicMs()) && !(await this.#flush())) return false;
      if (!(await this.#shouldContinue())) return false;
    }
    return this.#flush();
  }

  /** @returns false to stop */
  async #take(selection: Selection): Promise<boolean> {
    this.#meter.begin(selection.sequence, this.#tally.matched);
    this.#tally.add(selection);
    if (selection.kind !== 'selected' || !this.#pending.add(selection.command)) return true;
    return (await this.#flush()) && this.#shouldContinue();
  }

  /** @returns false to stop */
  #flush(): Promise<boolean> {
    return this.#writer.write(this.#pending.take(monotonicMs()));
  }

  /** Waits while the replay is paused. @returns false to stop */
  async #shouldContinue(): Promise<boolean> {
    const control = this.#control;
    if (control.request === 'pause') {
      await this.#writer.idle();
      return control.hold();
    }
    control.throwIfFailed();
    return !control.signal.aborted;
  }

  #progress(): ReplayProgress {
    return this.#meter.progress(this.#tally.shown, this.#tally.scanned, this.#control.waiting);
  }
}

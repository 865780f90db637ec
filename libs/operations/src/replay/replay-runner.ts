import { NO_PLACE, JetStreamApiError, type JetStreamApi } from '@loopstack/jetstream';
import {
  HEADER,
  LoopstackError,
  messageId,
  newRunId,
  printable,
  monotonicMs,
  type CommandSigner,
  type RunAddress,
  type WireNames,
  signedLines,
} from '@loopstack/shared/contract';
import { setTimeout as delay } from 'node:timers/promises';
import { CommandBatches, DUPLICATE_IN_BATCH, TakenOverError, type WrittenCommand } from './command-batch.js';
import type { CommandSelector, ReadyCommand, Selection } from './select/command-selector.js';
import { withCheckpoint, type Checkpoint } from './checkpoint.js';
import { Meter, type ReplayProgress } from './meter.js';
import { Backlog, Rate, batchSize } from './pace.js';
import {
  HEARTBEAT_MS,
  KEPT_INVALID,
  invalidCommand,
  type InvalidCommand,
  type ReplayCounts,
  type ReplayLog,
  type ReplayReport,
  type ReplayStatus,
  type ReplayWish,
} from './replay-log.js';
import type { ResolvedReplay } from './select/resolve.js';
import type { RunHistories } from './select/run-histories.js';
import { StreamScan, isPast } from './select/stream-scan.js';

/** What a runner works with. */
export interface ReplayTools {
  readonly api: JetStreamApi;
  readonly names: WireNames;
  readonly log: ReplayLog;
  readonly judge: CommandSelector;
  readonly batches: CommandBatches;
  readonly histories: RunHistories;
  readonly sign: CommandSigner | undefined;
}

type Counts = { -readonly [K in keyof ReplayCounts]: number };

const TICK_MS = 250;
/** Bounds a batch, beside its number of commands. */
const BATCH_BYTES = 4 * 1024 * 1024;
/** A batch that is not full goes after this. */
const LINGER_MS = 1000;
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 5000;
/** How long a server may be away or a stream full before the replay is interrupted. */
const PATIENCE_MS = 300_000;
/**
 * How long a batch is written again that was not whole: messages were lost with a connection, one of them was not allowed, or others
 * had left open as many as the server keeps (for 10 s).
 */
const INCOMPLETE_MS = 20_000;

/** Works on one replay, in this process, until it has ended or is told to stop. */
export class ReplayRunner {
  readonly #rate: Rate;
  readonly #backlog: Backlog | undefined;
  readonly #batchSize: number;
  readonly #stopped = new AbortController();
  readonly #meter: Meter;
  #workedBefore = 0;
  /** Counts up to what was judged last, published ones as if what waits were. */
  #counts: Counts;
  #scanned = 0;
  /** What is stored: the last mark, or further where nothing was to be published. */
  #done: { readonly counts: ReplayCounts; readonly position: number };
  #invalid: InvalidCommand[] = [];
  #pending: ReadyCommand[] = [];
  #pendingBytes = 0;
  #flushedAtMs = monotonicMs();
  #inFlight: Promise<void> = Promise.resolve();
  /** Commands taken and not stored yet; what was dropped in a stop stays among them. */
  #unsettled = 0;
  #failed: Error | undefined;
  #status: ReplayStatus = 'running';
  #wish: ReplayWish['wish'] = 'run';
  /** The last wish that was seen; a runner heeds those that come after its start. */
  #seen: string | undefined;
  #waiting: ReplayProgress['waiting'];
  #saving: Promise<void> = Promise.resolve();
  /** `onProgress` has failed. */
  #warned = false;
  readonly #sleepers = new Set<() => void>();

  constructor(
    private report: ReplayReport,
    private readonly replay: ResolvedReplay,
    private readonly tools: ReplayTools,
    private readonly onProgress: ((progress: ReplayProgress) => void) | undefined,
  ) {
    this.#meter = new Meter(report.id, report.bound, replay.limit);
    this.#rate = new Rate(replay.rate);
    this.#backlog = replay.maxQueued === undefined ? undefined : new Backlog(tools.api, tools.names, replay.priority, replay.maxQueued);
    this.#batchSize = batchSize(replay.rate);
    this.#counts = { ...report.counts };
    this.#done = { counts: report.counts, position: report.position };
  }

  /**
   * @param signal stops the work; the replay is interrupted then, and can be resumed
   * @throws LoopstackError REPLAY_LOST, REPLAY_BUSY if another process takes it over
   */
  async run(signal?: AbortSignal): Promise<ReplayReport> {
    await this.#recover();
    this.#seen = (await this.tools.log.wished(this.report.id))?.at;
    const stop = (): void => this.#stop();
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted) stop();
    await this.#save('running');
    const ticker = setInterval(() => this.#tick(), TICK_MS);
    const attendant = this.#attendToWishes();
    try {
      const finished = await this.#work();
      await this.#inFlight;
      this.#throwIfFailed();
      return await this.#end(finished ? 'completed' : this.#wish === 'abort' ? 'aborted' : 'interrupted');
    } catch (error) {
      this.#stop();
      await this.#inFlight;
      if (error instanceof TakenOverError) {
        const { runner } = await this.tools.log.get(this.report.id);
        throw new LoopstackError('REPLAY_BUSY', { id: this.report.id, runner }, { cause: error });
      }
      return await this.#end('interrupted', error);
    } finally {
      this.#stop();
      clearInterval(ticker);
      signal?.removeEventListener('abort', stop);
      await attendant;
    }
  }

  /** The last mark tells what is published, whatever the log has heard of. */
  async #recover(): Promise<void> {
    const text = await this.tools.batches.open();
    if (text !== undefined) this.report = withCheckpoint(this.report, text, this.tools.batches.markSequence);
    else if (this.report.markSequence > 0)
      throw new LoopstackError('REPLAY_LOST', { id: this.report.id, stream: this.tools.names.streams.runs });
    const { counts, position, invalid, workedMs } = this.report;
    this.#done = { counts, position };
    this.#counts = { ...counts };
    this.#scanned = position;
    this.#invalid = [...invalid];
    this.#workedBefore = workedMs;
  }

  /** @returns whether it came to its end */
  async #work(): Promise<boolean> {
    const { stream, subjects, sinceMs, fromSequence, limit } = this.replay;
    const from = this.#scanned > 0 ? this.#scanned + 1 : fromSequence;
    const scan = new StreamScan(this.tools.api, { stream, subjects, from, sinceMs, to: this.report.bound });
    if (this.#counts.matched >= limit) return true;
    for await (const messages of scan.lists(this.#stopped.signal)) {
      const verdicts = await this.#retryTransient(() => this.tools.judge.judge(messages, this.#stopped.signal));
      if (!verdicts) return false;
      for (const verdict of verdicts) {
        if (!(await this.#take(verdict))) return false;
        if (this.#counts.matched >= limit) return this.#flush();
      }
      this.#settle();
      if (isPast(messages, this.replay.untilMs)) break;
      if (monotonicMs() - this.#flushedAtMs > LINGER_MS && !(await this.#flush())) return false;
      if (!(await this.#shouldContinue())) return false;
    }
    return this.#flush();
  }

  /** @returns false to stop */
  async #take(verdict: Selection): Promise<boolean> {
    const counts = this.#counts;
    this.#scanned = verdict.sequence;
    this.#meter.begin(verdict.sequence, counts.matched);
    counts.read++;
    switch (verdict.kind) {
      case 'other':
        return true;
      case 'replayed':
        counts.replayed++;
        return true;
      case 'dropped':
        counts.matched++;
        counts.dropped++;
        return true;
      case 'invalid': {
        counts.matched++;
        counts.invalid++;
        if (this.#invalid.length < KEPT_INVALID) this.#invalid.push(invalidCommand(verdict.sequence, verdict.error));
        return true;
      }
      case 'ready':
        counts.matched++;
        this.#unsettled++;
        this.#pending.push(verdict.ready);
        this.#pendingBytes += verdict.ready.data.length + verdict.ready.lines.length;
        if (this.#pending.length < this.#batchSize && this.#pendingBytes < BATCH_BYTES) return true;
        return (await this.#flush()) && this.#shouldContinue();
    }
  }

  /** Where nothing waits to be stored, everything that was looked at is done. */
  #settle(): void {
    if (this.#unsettled === 0) this.#done = { counts: { ...this.#counts }, position: this.#scanned };
  }

  /** Sends what waits, after the batch before it is stored; does not wait for its own. @returns false to stop */
  async #flush(): Promise<boolean> {
    this.#flushedAtMs = monotonicMs();
    const commands = this.#pending;
    const position = this.#scanned;
    this.#pending = [];
    this.#pendingBytes = 0;
    if (commands.length > 0 && !(await this.#awaitCapacity(commands))) return false;
    await this.#inFlight;
    this.#throwIfFailed();
    if (this.#stopped.signal.aborted) return false;
    if (commands.length === 0) return true;
    const open = this.replay.sameRun ? await this.#reopened(commands) : commands;
    const busy = commands.length - open.length;
    this.#counts.published += open.length;
    this.#counts.busy += busy;
    this.#unsettled -= busy;
    const counts = { ...this.#counts };
    if (open.length > 0)
      this.#inFlight = this.#store(open, { token: newRunId(this.tools.api.clock.nowMs()), position, counts, workedMs: this.#workedMs() });
    return true;
  }

  /** Never rejects: a failure stops the work, and is thrown where that waits for the batch. */
  async #store(commands: readonly ReadyCommand[], mark: Checkpoint): Promise<void> {
    try {
      const text = JSON.stringify(mark);
      // Each try has message ids of its own: nobody can have taken them before. The mark keeps it from being stored twice.
      await this.#retryTransient(() =>
        this.tools.batches.commit(
          commands.map((command) => this.#written(command)),
          text,
        ),
      );
      this.#unsettled -= commands.length;
      this.#done = { counts: mark.counts, position: mark.position };
      this.#meter.stored(commands.length);
    } catch (error) {
      this.#failed = error as Error;
      this.#stop();
    }
  }

  async #reopened(commands: readonly ReadyCommand[]): Promise<readonly ReadyCommand[]> {
    const { id } = this.report;
    const runs = commands.map(({ command, origin }) => ({
      workspace: command.workspace,
      workflow: command.workflow,
      runId: origin.runId as string,
      mark: `${id}:${origin.sequence}`,
    }));
    const open = await this.#retryTransient(() => this.tools.histories.reopen(runs));
    return commands.filter((_, index) => open.has(index));
  }

  /** Waits for what the rate and the queues allow. @returns false to stop */
  async #awaitCapacity(commands: readonly ReadyCommand[]): Promise<boolean> {
    if (this.#backlog) {
      // What is still under way is in no queue yet.
      await this.#inFlight;
      const counts = new Map<string, { address: RunAddress; count: number }>();
      for (const { command } of commands) {
        const key = `${command.workspace}.${command.workflow}`;
        const entry = counts.get(key) ?? { address: command, count: 0 };
        entry.count++;
        counts.set(key, entry);
      }
      if (!(await this.#backlog.take(counts, (ms) => this.#wait(ms, 'queue')))) return false;
    }
    const waitMs = this.#rate.take(commands.length, monotonicMs());
    return waitMs === 0 || this.#wait(waitMs, 'rate');
  }

  #written({ command, origin, redriven, data, lines }: ReadyCommand): WrittenCommand {
    const { names, sign } = this.tools;
    const { id } = this.report;
    const { sameRun, priority } = this.replay;
    const subject = names.run(command, priority);
    const message = messageId(command, `replay-${id}-${origin.sequence}-${newRunId()}`);
    const of = origin.runId ?? `${origin.stream}:${origin.sequence}`;
    const nowMs = this.tools.api.clock.nowMs();
    const runId = sameRun ? of : newRunId(nowMs);
    let all = `${HEADER.RUN_ID}: ${runId}\r\n${HEADER.REPLAY_ID}: ${id}\r\n${HEADER.REPLAY_OF}: ${of}\r\n${lines}`;
    // A run that is opened again has a history, which the worker must look at.
    if (sameRun) all += `${HEADER.REDRIVEN}: ${redriven + 1}\r\n`;
    if (sign) all = signedLines(sign, all, { subject, messageId: message, data, nowMs });
    return { subject, data, lines: `${HEADER.MSG_ID}: ${message}\r\n${all}` };
  }

  /** Waits with a replay that is paused. @returns false to stop */
  async #shouldContinue(): Promise<boolean> {
    if (this.#wish === 'pause') {
      await this.#inFlight;
      return this.#hold();
    }
    this.#throwIfFailed();
    return !this.#stopped.signal.aborted;
  }

  async #hold(): Promise<boolean> {
    this.#meter.hold();
    await this.#save('paused').catch(() => undefined);
    while (this.#wish === 'pause') if (!(await this.#wait(HEARTBEAT_MS, 'pause'))) return false;
    this.#meter.goOn();
    if (!this.#stopped.signal.aborted) await this.#save('running').catch(() => undefined);
    return !this.#stopped.signal.aborted;
  }

  #throwIfFailed(): void {
    if (this.#failed !== undefined) throw this.#failed;
  }

  /** Tries again while the server is away or the stream is full. */
  async #retryTransient<T>(work: () => Promise<T>): Promise<T> {
    let waitMs = FIRST_RETRY_MS;
    const deadlineMs = monotonicMs() + PATIENCE_MS;
    const wholeByMs = monotonicMs() + INCOMPLETE_MS;
    for (;;) {
      try {
        return await work();
      } catch (error) {
        const temporary = isTemporary(error) || (isIncomplete(error) && monotonicMs() < wholeByMs);
        if (!temporary || monotonicMs() > deadlineMs || this.tools.api.nc.isClosed()) throw error;
        if (!(await this.#wait(waitMs, 'server'))) throw error;
        waitMs = Math.min(LAST_RETRY_MS, 2 * waitMs);
      }
    }
  }

  /** A change of wish ends a wait, and a pause prolongs it. @returns false to stop */
  async #wait(ms: number, what: NonNullable<ReplayProgress['waiting']>): Promise<boolean> {
    if (this.#stopped.signal.aborted) return false;
    this.#waiting = what;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#sleepers.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.#sleepers.add(wake);
    });
    this.#waiting = undefined;
    if (this.#wish === 'pause' && what !== 'pause') return this.#hold();
    return !this.#stopped.signal.aborted;
  }

  #wake(): void {
    for (const wake of this.#sleepers) wake();
  }

  #stop(): void {
    this.#stopped.abort();
    this.#wake();
  }

  /** Looks for what others ask for, and writes heartbeats. */
  async #attendToWishes(): Promise<void> {
    const { signal } = this.#stopped;
    let savedAtMs = monotonicMs();
    while (!signal.aborted) {
      await delay(2 * TICK_MS, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      const wished = await this.tools.log.wished(this.report.id).catch(() => undefined);
      if (wished && wished.at !== this.#seen) this.#apply(wished);
      if (monotonicMs() - savedAtMs > HEARTBEAT_MS && !signal.aborted) {
        savedAtMs = monotonicMs();
        await this.#beat().catch(() => undefined);
      }
    }
  }

  /** Writes how it stands, unless another process has taken the replay over and writes now. */
  async #beat(): Promise<void> {
    const { id, runner } = this.report;
    const { runner: present } = await this.tools.log.get(id);
    if (present === runner) return this.#save(this.#status);
    this.#failed ??= new TakenOverError(`${present} has gone on with it`);
    this.#stop();
  }

  #apply({ wish, by, at }: ReplayWish): void {
    this.#seen = at;
    if (wish === this.#wish) return;
    this.#wish = wish;
    this.report = { ...this.report, actions: [...this.report.actions, { action: wish === 'run' ? 'resume' : wish, by, at }] };
    if (wish === 'abort') this.#stop();
    this.#wake();
  }

  async #end(status: ReplayStatus, error?: unknown): Promise<ReplayReport> {
    this.#settle();
    const ended = status !== 'interrupted';
    this.report = {
      ...this.report,
      ...(error === undefined ? {} : { error: printable((error as Error).message) }),
      ...(ended ? { finishedAt: this.tools.api.clock.isoNow() } : {}),
    };
    // Where the server is gone the state cannot be told to it; the marks are true all the same.
    await this.#save(status).catch((cause: unknown) => {
      if (ended) throw cause;
    });
    this.#tick();
    if (ended) await this.tools.batches.clear();
    return this.report;
  }

  /** One write at a time, in order. */
  #save(status: ReplayStatus): Promise<void> {
    this.#status = status;
    this.report = {
      ...this.report,
      status,
      counts: this.#done.counts,
      position: this.#done.position,
      markSequence: this.tools.batches.markSequence,
      workedMs: this.#workedMs(),
      invalid: this.#invalid,
      heartbeatAt: this.tools.api.clock.isoNow(),
    };
    const { report } = this;
    this.#saving = this.#saving.catch(() => undefined).then(() => this.tools.log.write(report));
    return this.#saving;
  }

  #workedMs(): number {
    return this.#workedBefore + this.#meter.elapsedMs;
  }

  /** An error of who watches is told once, and does not end the replay. */
  #tick(): void {
    if (!this.onProgress) return;
    const warn = (): void => {
      if (!this.#warned) process.emitWarning(`onProgress of replay ${this.report.id} failed; the replay goes on`, 'LoopstackWarning');
      this.#warned = true;
    };
    const counts = { ...this.#counts, published: this.#done.counts.published };
    try {
      // What it returns may be a promise all the same.
      Promise.resolve(this.onProgress(this.#meter.progress(counts, this.#scanned, this.#waiting))).catch(warn);
    } catch {
      warn();
    }
  }
}

/** The next try may succeed. */
function isTemporary(error: unknown): boolean {
  return (error instanceof LoopstackError && error.retryable) || (error instanceof JetStreamApiError && error.errCode === 0);
}

/** The next try may succeed: with a place, or with other message ids. */
function isIncomplete(error: unknown): boolean {
  const errCode = error instanceof LoopstackError ? error.details['errCode'] : undefined;
  return NO_PLACE.has(errCode) || errCode === DUPLICATE_IN_BATCH;
}

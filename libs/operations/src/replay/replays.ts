import { Publisher, ERR_CODE, JetStreamApi, JetStreamApiError, type NatsConnectionLike } from '@loopstack/jetstream';
import { LoopstackError, integerFrom, wireNames, monotonicMs, type CommandSigner, type WireNames } from '@loopstack/shared/contract';
import { setTimeout as delay } from 'node:timers/promises';
import { CommandBatches } from './run/command-batches.js';
import { CommandSelector, type PayloadCheck } from './select/command-selector.js';
import { withCheckpoint } from './run/checkpoint.js';
import type { ReplayProgress } from './run/meter.js';
import type { ReplayFunctions, ReplayRequest } from './request.js';
import { newReplayId, resolveReplay, type ResolvedReplay } from './select/resolve.js';
import { previewReplay, type ReplayPreview } from './preview.js';
import { PROCESS, ReplayLog, isAlive, newRunner, newState, type ControlRequest, type ReplayReport } from './replay-log.js';
import { runReplay } from './run/replay-runner.js';
import { RunHistories } from './select/run-histories.js';

/** All optional. */
export interface ReplaysOptions {
  /** Default `loopstack`. */
  readonly prefix?: string;
  /** JetStream domain of the streams. */
  readonly domain?: string;
  /** Copies of the bucket that holds the replays, when it is made. Default 1. */
  readonly replicas?: number;
  /** Checks payloads as a worker would. Default: commands are decoded strictly, and nothing is known of payloads. */
  readonly payloads?: PayloadCheck;
  /** Headers that prove where a command comes from. */
  readonly sign?: CommandSigner;
  /** Who asks, for the record. Default: host and process id. */
  readonly by?: string;
}

export interface ReplayHooks {
  /** The functions that a request, which is JSON, cannot hold. */
  readonly functions?: ReplayFunctions;
  /** Called about four times a second. */
  readonly onProgress?: (progress: ReplayProgress) => void;
  /** Stops the work. A replay that was started is interrupted then, and can be resumed. */
  readonly signal?: AbortSignal;
}

/** How fast a replay goes from now on; undefined: as fast as it goes. */
export interface ReplayPace {
  readonly rate?: number | undefined;
  readonly maxQueued?: number | undefined;
}

/** Times that a process which has taken a replay over begins again, because the one before still published. */
const TAKE_OVER_TRIES = 5;
/** How long a control request waits for the process that works on the replay. */
const ANSWER_MS = 15_000;
/** Between looks for its answer. */
const POLL_MS = 200;

/**
 * Batch replays: run any slice of the past again. A replay is named, recorded, and publishes each command exactly
 * once however often it is killed and resumed (docs/adr/0006). Works on a connection alone, without a framework.
 */
export class Replays {
  readonly #api: JetStreamApi;
  readonly #names: WireNames;
  readonly #options: ReplaysOptions;
  readonly #publisher: Publisher;
  readonly #log: ReplayLog;
  readonly #histories: RunHistories;

  /** @throws LoopstackError NAME_INVALID */
  constructor(nc: NatsConnectionLike, options: ReplaysOptions = {}) {
    this.#options = options;
    this.#names = wireNames(options.prefix);
    this.#api = new JetStreamApi(nc, options.domain);
    this.#publisher = new Publisher(nc, { domain: options.domain, sign: options.sign });
    this.#log = new ReplayLog(nc, this.#names, { domain: options.domain, replicas: options.replicas });
    this.#histories = new RunHistories(this.#api, this.#publisher, this.#names);
  }

  /**
   * Tells what a replay would do: reads and checks everything, publishes nothing.
   * @param examples commands that are shown, and refused ones. Default 3
   * @throws LoopstackError OPTION_INVALID, NAME_INVALID, STREAM_UNAVAILABLE
   */
  async preview(request: ReplayRequest, hooks: ReplayHooks & { readonly examples?: number } = {}): Promise<ReplayPreview> {
    const replay = resolveReplay(request, hooks.functions ?? {}, this.#names);
    const id = request.id ?? newReplayId(this.#api.clock.nowMs());
    const bound = await this.#bound(replay);
    return previewReplay(this.#api, replay, this.#selector(id, replay), { id, bound, examples: hooks.examples ?? 3, ...hooks });
  }

  /**
   * Starts a replay and works on it. Resolves when it has ended, was aborted, or was interrupted (`signal`, or a server
   * that was away too long).
   * @throws LoopstackError OPTION_INVALID, NAME_INVALID, STREAM_UNAVAILABLE, REPLAY_EXISTS
   */
  async start(request: ReplayRequest, hooks: ReplayHooks = {}): Promise<ReplayReport> {
    const replay = resolveReplay(request, hooks.functions ?? {}, this.#names);
    const bound = await this.#bound(replay);
    const at = this.#api.clock.isoNow();
    const order = { id: request.id ?? newReplayId(this.#api.clock.nowMs()), request, by: this.#by, at, stream: replay.stream, bound };
    const state = newState(this.#by, at, newRunner());
    await this.#log.create(order, state);
    return this.#run({ ...order, ...state }, replay, hooks);
  }

  /**
   * Goes on with a replay that was interrupted or paused. If the process that paused it is alive, that one goes on, and
   * this returns at once; else this process does the work, with the functions that the replay was started with.
   * @param hooks `pace` is used instead of the one that it was started with, by this process
   * @throws LoopstackError REPLAY_UNKNOWN, REPLAY_FINISHED, REPLAY_BUSY, REPLAY_LOST, OPTION_INVALID
   */
  async resume(id: string, hooks: ReplayHooks & { readonly pace?: ReplayPace } = {}): Promise<ReplayReport> {
    const report = await this.#unfinished(id);
    if (this.#isAlive(report)) {
      if (report.status !== 'paused') throw new LoopstackError('REPLAY_BUSY', { id, runner: report.runner });
      return this.#ask(id, 'run', (status) => status !== 'paused');
    }
    const request = { ...report.request, ...hooks.pace } as ReplayRequest;
    const replay = resolveReplay(request, hooks.functions ?? {}, this.#names);
    const at = this.#api.clock.isoNow();
    const { error: _, ...kept } = report;
    const actions = [...report.actions, { action: 'resume' as const, by: this.#by, at }];
    return this.#run({ ...kept, status: 'running', runner: newRunner(), heartbeatAt: at, actions }, replay, hooks);
  }

  /** Holds a replay; resolves when it is held. @throws LoopstackError REPLAY_UNKNOWN, REPLAY_FINISHED */
  async pause(id: string): Promise<ReplayReport> {
    const report = await this.#unfinished(id);
    if (this.#isAlive(report)) return this.#ask(id, 'pause', (status) => status !== 'running');
    return this.#record(report, 'pause', 'paused');
  }

  /** Ends a replay where it is; what is published stays. @throws LoopstackError REPLAY_UNKNOWN, REPLAY_FINISHED */
  async abort(id: string): Promise<ReplayReport> {
    const report = await this.#unfinished(id);
    if (this.#isAlive(report)) return this.#ask(id, 'abort', (status) => status === 'aborted' || status === 'completed');
    return this.#record(report, 'abort', 'aborted');
  }

  /** @throws LoopstackError REPLAY_UNKNOWN */
  get(id: string): Promise<ReplayReport> {
    return this.#log.get(id);
  }

  /**
   * The last replays, newest first.
   * @param options.limit most that are listed. Default 100
   * @throws LoopstackError OPTION_INVALID
   */
  async list({ limit = 100 }: { readonly limit?: number } = {}): Promise<readonly ReplayReport[]> {
    return this.#log.list(integerFrom('limit', 1, limit));
  }

  /** Frees the inbox of acknowledgements; the connection stays. */
  async close(): Promise<void> {
    await this.#publisher.close();
  }

  get #by(): string {
    return this.#options.by ?? PROCESS;
  }

  #selector(id: string, replay: ResolvedReplay): CommandSelector {
    const { payloads, sign } = this.#options;
    const parts = { names: this.#names, api: this.#api, histories: this.#histories };
    return new CommandSelector({ id, replay, ...parts, payloads, signs: sign !== undefined });
  }

  #batches(id: string): CommandBatches {
    return new CommandBatches(this.#api, this.#publisher, this.#names.streams.runs, this.#names.replay(id));
  }

  async #run(report: ReplayReport, replay: ResolvedReplay, { onProgress, signal }: ReplayHooks): Promise<ReplayReport> {
    const tools = {
      api: this.#api,
      names: this.#names,
      log: this.#log,
      selector: this.#selector(report.id, replay),
      histories: this.#histories,
      sign: this.#options.sign,
    };
    for (let current = report, tries = 1; ; tries++) {
      try {
        return await runReplay(current, replay, { ...tools, batches: this.#batches(report.id) }, { onProgress, signal });
      } catch (error) {
        // A batch of the process before was on its way when this one took over: the process that the record names goes on.
        const ours = error instanceof LoopstackError && error.code === 'REPLAY_BUSY' && error.details['runner'] === report.runner;
        if (!ours || tries === TAKE_OVER_TRIES) throw error;
        current = await this.#log.get(report.id);
      }
    }
  }

  /** The last sequence at present: the replay leaves out later messages, its own commands among them. */
  async #bound(replay: ResolvedReplay): Promise<number> {
    try {
      const { state } = await this.#api.streamInfo(replay.stream);
      return Math.min(state.last_seq, replay.toSequence);
    } catch (cause) {
      if (!(cause instanceof JetStreamApiError)) throw cause;
      const reason = cause.errCode === ERR_CODE.STREAM_NOT_FOUND ? 'it does not exist' : cause.message;
      throw new LoopstackError('STREAM_UNAVAILABLE', { stream: replay.stream, reason }, { cause });
    }
  }

  #isAlive(report: ReplayReport): boolean {
    return isAlive(report, this.#api.clock.nowMs());
  }

  async #unfinished(id: string): Promise<ReplayReport> {
    const report = await this.#log.get(id);
    const { status } = report;
    if (status === 'completed' || status === 'aborted') throw new LoopstackError('REPLAY_FINISHED', { id, status });
    return report;
  }

  /** Asks the process that works on it, and waits for a status that answers. */
  async #ask(id: string, request: ControlRequest['request'], isAnswer: (status: ReplayReport['status']) => boolean): Promise<ReplayReport> {
    await this.#log.ask(id, request, this.#by);
    const deadlineMs = monotonicMs() + ANSWER_MS;
    for (;;) {
      const report = await this.#log.get(id);
      if (isAnswer(report.status)) return report;
      if (monotonicMs() > deadlineMs) throw new LoopstackError('REPLAY_BUSY', { id, runner: report.runner });
      await delay(POLL_MS);
    }
  }

  /** No process works on it: its checkpoints tell how far it came. */
  async #record(report: ReplayReport, action: 'pause' | 'abort', status: 'paused' | 'aborted'): Promise<ReplayReport> {
    const at = this.#api.clock.isoNow();
    const batches = this.#batches(report.id);
    const checkpoint = await batches.open();
    const changed: ReplayReport = {
      ...(checkpoint === undefined ? report : withCheckpoint(report, checkpoint, batches.checkpointSequence)),
      status,
      actions: [...report.actions, { action, by: this.#by, at }],
      ...(status === 'aborted' ? { finishedAt: at } : {}),
    };
    await this.#log.write(changed);
    if (status === 'aborted') await batches.clear();
    return changed;
  }
}

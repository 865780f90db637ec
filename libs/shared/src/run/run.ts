import type { Duration } from '../value/duration.js';
import type { RunEvent, RunInfo, RunStatus } from '../message/event.js';
import type { Headers } from '../message/header.js';
import type { Priority, RunAddress } from '../names/subject.js';

/** What `run()` takes beside the four parameters that users know. All optional. */
export interface RunOptions {
  /**
   * The same key for the same workflow is the same run, for as long as its events are kept: a second call starts
   * nothing and its handle says `duplicate`. With another payload or user it is refused (KEY_CONFLICT).
   */
  readonly idempotencyKey?: string;
  /** Headers that the workflow sees in `ctx.headers`. Names that start with `Nats-` or `Loopstack-` are refused. */
  readonly headers?: Headers;
  /** Starts the run after this time; kept by the server. Not together with `at`. */
  readonly delay?: Duration;
  /** Starts the run at this time; kept by the server. */
  readonly at?: Date;
  /**
   * A run that no worker has started by then ends as `expired`, never late. Counts from the time of `delay` or `at`, where there is one.
   * A first attempt is recorded when it ends, or before it begins with `record: 'full'` or a single attempt: where it is not, a run
   * whose worker died in its first attempt counts as not started.
   */
  readonly expiresIn?: Duration;
  /** Default `normal`. */
  readonly priority?: Priority;
  /** Passed on to runs that this one starts; default: that of the run that calls, else the run's own id. */
  readonly correlationId?: string;
  /** Longest wait for the server's acknowledgement. Default: the client's `publishTimeout` (5 s). */
  readonly publishTimeout?: Duration;
}

/** How long a caller waits for the outcome of a run. All optional. */
export interface WaitOptions {
  /** Longest wait for the outcome. Default: the client's `resultTimeout` (30 s). The run goes on. */
  readonly timeout?: Duration;
  /** Ends the waiting, not the run. */
  readonly signal?: AbortSignal;
}

/** The options of a run, and how long its caller waits for the outcome. */
export interface RunAndWaitOptions extends RunOptions, WaitOptions {}

/** A run whose command the server has stored and acknowledged. */
export interface RunHandle<Result = unknown> extends RunReference {
  /** Where the command is stored; 0 while it is kept by a schedule (`delay`, `at`). */
  readonly stream: string;
  readonly sequence: number;
  /** True if a run with this idempotency key or id was there already: nothing new was started. */
  readonly duplicate: boolean;
  /**
   * The workflow's return value.
   * @throws LoopstackError RUN_FAILED, RUN_CANCELED, RUN_EXPIRED, RESULT_TIMEOUT (default 30 s)
   */
  result(options?: WaitOptions): Promise<Result>;
  /** The run's events from the first on, live until its outcome. */
  events(options?: { readonly signal?: AbortSignal }): AsyncIterable<RunEvent>;
  status(): Promise<RunInfo>;
  cancel(): Promise<RunInfo>;
}

/** Which run: an id belongs to its workspace and workflow. A handle is one, and so is what `get()` and `list()` tell. */
export interface RunReference extends RunAddress {
  readonly id: string;
}

export interface RunFilter {
  readonly workspace?: string;
  readonly workflow?: string;
  readonly status?: RunStatus | readonly RunStatus[];
  readonly userId?: string;
  /** Runs that changed at that time or later; one that is queued changed when its command was stored. */
  readonly since?: Date;
  /** Runs whose last change was at that time or earlier. */
  readonly until?: Date;
  /** @default 100 */
  readonly limit?: number;
  /**
   * Called if the list stopped at its bound, 200,000 messages of a stream: it has all runs that changed after `from`, and older ones may
   * be missing. A list with `until: from` goes on from there.
   */
  readonly onIncomplete?: (from: Date) => void;
}

/** One run of a batch. */
export interface RunItem extends RunAddress {
  readonly payload?: unknown;
  readonly userId: string;
  readonly options?: RunOptions;
}

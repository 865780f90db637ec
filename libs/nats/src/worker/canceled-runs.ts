import type { RunAddress, WireNames } from '@loopstack/shared';
import { subjectPages, type NatsConnectionLike, type NatsSubscription, type JetStreamApi } from '@loopstack/jetstream';
import type { CommandMessage } from './command-message.js';
import { retryUntilLeader } from '../topology/retry-until-leader.js';

/** Ids that a process remembers, of all workflows together: about a megabyte. */
const REMEMBERED = 10_000;
/** Between attempts to learn where the queue ends. */
const REREAD_CANCELED_MS = 1000;
/** What the server says of a command that was delayed (NATS ADR-51): it may be stored long after its run was canceled. */
const SCHEDULER = 'Nats-Scheduler';

/** Up to where in the runs stream ids may have been forgotten; 0: none. Infinite until the server has told it. */
interface Forgotten {
  upTo: number;
}

/** The ids of one workflow. */
export class CanceledIds {
  readonly #forgotten: Forgotten;
  readonly known = new Set<string>();
  /** Told since the last look at what executes. */
  news = new Set<string>();

  constructor(
    readonly address: RunAddress,
    forgotten: Forgotten,
  ) {
    this.#forgotten = forgotten;
  }

  /** Whether the history of a run must be read before it runs. */
  isPerhaps(runId: string, message: Pick<CommandMessage, 'sequence' | 'headers'>): boolean {
    if (this.known.has(runId)) return true;
    const { upTo } = this.#forgotten;
    return upTo > 0 && (message.sequence <= upTo || message.headers.get(SCHEDULER) !== undefined);
  }
}

/**
 * Which runs are perhaps canceled. A cancel is recorded as the outcome of the run, and then told by a notice on a subject of its own,
 * kept in the events stream: a worker hears it live, and reads what it missed when it starts and after each reconnect. The happy
 * path asks a set, not the server. A notice alone says nothing: a user who may write it need not be allowed to write the outcome.
 *
 * What is remembered is bounded. Where there are too many, all are forgotten: then every command that was stored by that time, and every
 * delayed one, is perhaps canceled, and its run's history decides.
 */
export class CanceledRuns {
  readonly #api: JetStreamApi;
  readonly #names: WireNames;
  readonly #onCancel: (address: RunAddress, runIds: ReadonlySet<string>) => void;
  readonly #byAddress = new Map<string, CanceledIds>();
  #size = 0;
  readonly #forgotten: Forgotten = { upTo: 0 };
  /** Counts how often. */
  #times = 0;
  #asking = false;
  #stopped = false;
  #flushing: NodeJS.Immediate | undefined;
  #subscription: NatsSubscription | undefined;
  #last: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  /** @param onCancel told of the runs of a workflow that may have been canceled now */
  constructor(api: JetStreamApi, names: WireNames, onCancel: (address: RunAddress, runIds: ReadonlySet<string>) => void) {
    this.#api = api;
    this.#names = names;
    this.#onCancel = onCancel;
  }

  /**
   * @param served workflows of this process; notices of others are not kept
   * @param shouldContinue false: it is stopped while it starts
   */
  async start(nc: NatsConnectionLike, served: readonly RunAddress[], shouldContinue: () => boolean): Promise<void> {
    for (const address of served) this.of(address);
    this.#subscription = nc.subscribe(`${this.#names.prefix}.cancel.*.*.*`, {
      callback: (error, msg) => error ?? this.#heard(msg.subject),
    });
    await retryUntilLeader(() => this.load(), shouldContinue);
  }

  /** Reads the notices that the stream holds; while it does, once more at most. */
  load(): Promise<void> {
    const next = (this.#next ??= this.#last
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.#load();
      }));
    this.#last = next;
    return next;
  }

  async #load(): Promise<void> {
    for await (const page of subjectPages(this.#api, this.#names.streams.events, `${this.#names.prefix}.cancel.>`)) {
      for (const [subject] of page) this.#heard(subject);
    }
  }

  /** Ids that are remembered. */
  get size(): number {
    return this.#size;
  }

  /** The ids of a workflow that this process serves. */
  of({ workspace, workflow }: RunAddress): CanceledIds {
    const key = keyOf(workspace, workflow);
    let ids = this.#byAddress.get(key);
    if (!ids) this.#byAddress.set(key, (ids = new CanceledIds({ workspace, workflow }, this.#forgotten)));
    return ids;
  }

  stop(): void {
    this.#stopped = true;
    clearImmediate(this.#flushing);
    this.#subscription?.unsubscribe();
  }

  #heard(subject: string): void {
    const [, , workspace = '', workflow = '', runId = ''] = subject.split('.');
    const ids = this.#byAddress.get(keyOf(workspace, workflow));
    if (!ids) return;
    if (!ids.known.has(runId)) {
      if (this.#size >= REMEMBERED) this.#forgetAll();
      ids.known.add(runId);
      this.#size++;
    }
    // Also one that is known: a replay may have opened the run again. A flood of notices is one look at what executes.
    ids.news.add(runId);
    this.#flushing ??= setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#flushing = undefined;
    for (const ids of this.#byAddress.values()) {
      if (ids.news.size === 0) continue;
      const { news } = ids;
      ids.news = new Set();
      this.#onCancel(ids.address, news);
    }
  }

  #forgetAll(): void {
    for (const { known } of this.#byAddress.values()) known.clear();
    this.#size = 0;
    this.#times++;
    this.#forgotten.upTo = Number.POSITIVE_INFINITY;
    if (this.#asking) return;
    this.#asking = true;
    void this.#ask().finally(() => (this.#asking = false));
  }

  /** Where the queue ends now: what was forgotten is of commands before, or of delayed ones. */
  async #ask(): Promise<void> {
    while (!this.#stopped) {
      try {
        const times = this.#times;
        const { state } = await this.#api.streamInfo(this.#names.streams.runs);
        if (times !== this.#times) continue;
        this.#forgotten.upTo = state.last_seq;
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, REREAD_CANCELED_MS).unref());
      }
    }
  }
}

const keyOf = (workspace: string, workflow: string): string => `${workspace}.${workflow}`;

import {
  LONGEST_TIMER_MS,
  LoopstackError,
  decodeRunEvent,
  storedRunEvent,
  durationMs,
  isOutcome,
  type WaitOptions,
  type RunAddress,
  type RunEvent,
  resultOf,
} from '@loopstack/shared/contract';
import { setTimeout as delay } from 'node:timers/promises';
import {
  followConnection,
  type NatsConnectionLike,
  type NatsMessage,
  type NatsSubscription,
  type StoredMessage,
  type StreamReader,
} from '@loopstack/jetstream';
import { firstEvent, historyEnd, readAnyway, type FoundEnd } from './history-end.js';
import type { ResolvedClientOptions } from '../options.js';

/** Looks at the stream after a notice, in ms after one another: a notice may overtake the storing, or tell of a refused publish. */
const AFTER_NOTICE_MS = [0, 5, 20, 50, 100, 250, 500, 1000];
/**
 * Looks of a new watch: an event that was published just before the subscription is stored by another thread of the server
 * than the one that answers the first look (seen with worker and waiter on one connection), and in a cluster the interest
 * of a subscription takes a moment to reach all servers.
 */
const FIRST_LOOKS_MS = [0, 10, 90, 400];
/** Between looks that failed. */
const REREAD_AFTER_FAILURE_MS = 1000;

/** All who wait for the outcome of one run share one subscription and its looks. */
interface Watch {
  readonly subject: string;
  /** Called with the outcome, or with the reason why there will be none. */
  readonly waiters: Set<(outcome: RunEvent | Error) => void>;
  subscription: NatsSubscription;
  looking: boolean;
  /** Looks that were asked for while one was under way. */
  next: readonly number[] | undefined;
}

/**
 * Outcomes and histories of runs, without polling. The subject of a run's events is subscribed to as an ordinary
 * subject; a message there is a notice only, because also a publish that the stream refuses (the fence) is seen by
 * subscribers. What is true is read from the stream.
 */
export class RunEvents {
  readonly #nc: NatsConnectionLike;
  readonly #options: ResolvedClientOptions;
  readonly #reader: StreamReader;
  readonly #watches = new Map<string, Watch>();
  readonly #followers = new Set<() => void>();
  readonly #unfollow: () => void;
  #closed = false;

  constructor(nc: NatsConnectionLike, options: ResolvedClientOptions, reader: StreamReader) {
    this.#nc = nc;
    this.#options = options;
    this.#reader = reader;
    this.#unfollow = followConnection(nc, { reconnected: () => this.#reconnected(), closed: () => this.close() });
  }

  /** Where the history of a run ends. */
  async end(address: RunAddress, runId: string, leader = false): Promise<FoundEnd | undefined> {
    const { names } = this.#options;
    return historyEnd(this.#reader, names.streams.events, names.event(address, runId), leader);
  }

  /** The first event of a run that is still there. */
  async first(address: RunAddress, runId: string): Promise<RunEvent | undefined> {
    const { names } = this.#options;
    return firstEvent(this.#reader, names.streams.events, names.event(address, runId));
  }

  /** @throws LoopstackError RUN_FAILED, RUN_CANCELED, RUN_EXPIRED, RESULT_TIMEOUT, CLOSED */
  async result(address: RunAddress, runId: string, options: WaitOptions = {}): Promise<unknown> {
    const timeoutMs = options.timeout === undefined ? this.#options.resultTimeoutMs : durationMs('timeout', options.timeout);
    options.signal?.throwIfAborted();
    this.#assertOpen();
    return resultOf(runId, await this.#outcome(address, runId, timeoutMs, options.signal));
  }

  /** The run's events in the order of the stream, live; ends with the outcome that stands last. */
  async *history(address: RunAddress, runId: string, options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<RunEvent> {
    const { names } = this.#options;
    const subject = names.event(address, runId);
    const { signal } = options;
    signal?.throwIfAborted();
    this.#assertOpen();
    let looks: readonly number[] = [];
    let wake = (): void => {};
    const notice = (): void => {
      looks = AFTER_NOTICE_MS;
      wake();
    };
    const subscription = this.#nc.subscribe(subject, { callback: notice });
    this.#followers.add(notice);
    signal?.addEventListener('abort', notice, { once: true });
    try {
      for (let next = 1, ended = false, readable = false; ;) {
        let stored: StoredMessage | undefined;
        try {
          stored = await readAnyway(this.#reader, names.streams.events, { next: subject, sequence: next });
          readable = true;
        } catch (error) {
          // A server that restarts is waited for, a stream that was never there is not.
          if (!readable || this.#nc.isClosed()) throw error;
          looks = [REREAD_AFTER_FAILURE_MS, ...looks];
        }
        signal?.throwIfAborted();
        if (stored) {
          next = stored.sequence + 1;
          // A message that is no event is passed over.
          const event = storedRunEvent(stored);
          if (!event) continue;
          ended = isOutcome(event.type);
          yield event;
        } else if (ended) {
          return;
        } else if (looks.length > 0) {
          await delay(looks[0] as number);
          looks = looks.slice(1);
        } else {
          await new Promise<void>((resolve) => (wake = resolve));
          signal?.throwIfAborted();
          if (this.#closed) throw new LoopstackError('CLOSED');
        }
      }
    } finally {
      signal?.removeEventListener('abort', notice);
      this.#followers.delete(notice);
      if (!this.#nc.isClosed()) subscription.unsubscribe();
    }
  }

  #assertOpen(): void {
    if (this.#closed || this.#nc.isClosed() || this.#nc.isDraining()) throw new LoopstackError('CLOSED');
  }

  #outcome(address: RunAddress, runId: string, timeoutMs: number, signal: AbortSignal | undefined): Promise<RunEvent> {
    const watch = this.#watch(this.#options.names.event(address, runId));
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', aborted);
        watch.waiters.delete(done);
        if (watch.waiters.size === 0) this.#unwatch(watch);
      };
      const done = (outcome: RunEvent | Error): void => {
        finish();
        if (outcome instanceof Error) reject(outcome);
        else resolve(outcome);
      };
      const aborted = (): void => done(signal?.reason as Error);
      const timer = setTimeout(
        () => done(new LoopstackError('RESULT_TIMEOUT', { runId, timeoutMs })),
        Math.min(timeoutMs, LONGEST_TIMER_MS),
      );
      signal?.addEventListener('abort', aborted, { once: true });
      watch.waiters.add(done);
      // Subscribed first, read second: an outcome is either there already or noticed. A look ends when no caller waits.
      void this.#look(watch, FIRST_LOOKS_MS);
    });
  }

  #watch(subject: string): Watch {
    const known = this.#watches.get(subject);
    if (known) return known;
    const callback = (error: Error | null, msg: NatsMessage): void => {
      const event = error ? undefined : decodeRunEvent(msg.data);
      if (event && isOutcome(event.type)) void this.#look(watch, AFTER_NOTICE_MS);
    };
    const watch: Watch = {
      subject,
      waiters: new Set(),
      subscription: this.#nc.subscribe(subject, { callback }),
      looking: false,
      next: undefined,
    };
    this.#watches.set(subject, watch);
    return watch;
  }

  #unwatch(watch: Watch): void {
    this.#watches.delete(watch.subject);
    if (!this.#nc.isClosed()) watch.subscription.unsubscribe();
  }

  /** Reads the last event until it is an outcome, once after each of the waits. Ends when no caller waits any more. */
  async #look(watch: Watch, waits: readonly number[]): Promise<void> {
    if (watch.looking) {
      watch.next = waits;
      return;
    }
    watch.looking = true;
    for (let left = waits; left.length > 0;) {
      const [wait, ...rest] = left as [number, ...number[]];
      if (wait > 0) await delay(wait);
      if (watch.waiters.size === 0) break;
      left = rest;
      try {
        const event = (await historyEnd(this.#reader, this.#options.names.streams.events, watch.subject))?.event;
        if (event && isOutcome(event.type)) {
          for (const waiter of [...watch.waiters]) waiter(event);
          break;
        }
      } catch {
        left = [REREAD_AFTER_FAILURE_MS, ...left];
      }
      if (watch.next) left = watch.next;
      watch.next = undefined;
    }
    watch.looking = false;
  }

  /** This client has missed what was published meanwhile. */
  #reconnected(): void {
    for (const watch of this.#watches.values()) void this.#look(watch, FIRST_LOOKS_MS);
    for (const follower of this.#followers) follower();
  }

  /** Ends all waiting with CLOSED. */
  close(): void {
    this.#closed = true;
    this.#unfollow();
    for (const { waiters } of this.#watches.values()) for (const waiter of [...waiters]) waiter(new LoopstackError('CLOSED'));
    for (const follower of this.#followers) follower();
  }
}

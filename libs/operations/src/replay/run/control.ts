import { monotonicMs } from '@loopstack/shared/contract';
import { setTimeout as delay } from 'node:timers/promises';
import { HEARTBEAT_MS, type ControlRequest, type ReplayAction } from '../replay-log.js';
import { TakenOverError } from './command-batches.js';
import type { Meter, ReplayProgress } from './meter.js';
import type { ReplayRecord } from './record.js';
import { isTransient, retryDelayMs } from './retry.js';

/** What this process was asked to do with its replay. */
export interface ControlState {
  readonly request: ControlRequest['request'];
  /** Time of the last request that it saw, as it tells requests apart. */
  readonly seen: string | undefined;
}

/** Applies a request once. A repetition of the present state is no action. Pure. */
export function applyRequest(
  state: ControlState,
  asked: ControlRequest | undefined,
): { readonly state: ControlState; readonly action?: ReplayAction } {
  if (!asked || asked.at === state.seen) return { state };
  const { request, by, at } = asked;
  const next = { request, seen: at };
  return request === state.request ? { state: next } : { state: next, action: { action: request === 'run' ? 'resume' : request, by, at } };
}

/** Between looks for requests of others. */
const POLL_MS = 500;

/** Pauses, resumes and stops a running replay, by the requests of others and by failures; writes the heartbeats. */
export class ReplayControl {
  readonly #record: ReplayRecord;
  readonly #meter: Meter;
  readonly #stopped = new AbortController();
  readonly #sleepers = new Set<() => void>();
  #state: ControlState = { request: 'run', seen: undefined };
  #waiting: ReplayProgress['waiting'];
  #failure: Error | undefined;

  constructor(record: ReplayRecord, meter: Meter) {
    this.#record = record;
    this.#meter = meter;
  }

  /** Aborts when the work is to stop. */
  get signal(): AbortSignal {
    return this.#stopped.signal;
  }

  get request(): ControlRequest['request'] {
    return this.#state.request;
  }

  get waiting(): ReplayProgress['waiting'] {
    return this.#waiting;
  }

  /** Requests from before the start are not for this process. */
  async skipOld(): Promise<void> {
    this.#state = { ...this.#state, seen: (await this.#record.requested())?.at };
  }

  stop(): void {
    this.#stopped.abort();
    this.#wake();
  }

  /** The first failure stops the work. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.stop();
  }

  throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Looks for requests and writes heartbeats, until the work stops. */
  async attend(): Promise<void> {
    const { signal } = this;
    let savedAtMs = monotonicMs();
    while (!signal.aborted) {
      await delay(POLL_MS, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      this.#apply(await this.#record.requested().catch(() => undefined));
      if (monotonicMs() - savedAtMs > HEARTBEAT_MS && !signal.aborted) {
        savedAtMs = monotonicMs();
        await this.#record.beat().catch((error: unknown) => {
          if (error instanceof TakenOverError) this.fail(error);
        });
      }
    }
  }

  /** Waits while the replay is paused. @returns false to stop */
  async hold(): Promise<boolean> {
    const { signal } = this;
    this.#meter.hold();
    await this.#record.save('paused').catch(() => undefined);
    while (this.#state.request === 'pause') if (!(await this.wait(HEARTBEAT_MS, 'pause'))) return false;
    this.#meter.goOn();
    if (!signal.aborted) await this.#record.save('running').catch(() => undefined);
    return !signal.aborted;
  }

  /** Any new request ends a wait, and a pause prolongs it. @returns false to stop */
  async wait(ms: number, reason: NonNullable<ReplayProgress['waiting']>): Promise<boolean> {
    if (this.signal.aborted) return false;
    this.#waiting = reason;
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
    if (this.#state.request === 'pause' && reason !== 'pause') return this.hold();
    return !this.signal.aborted;
  }

  /** Tries again while the server is away or the stream is full. */
  async retryTransient<T>(work: () => Promise<T>): Promise<T> {
    const sinceMs = monotonicMs();
    for (let failures = 1; ; failures++) {
      try {
        return await work();
      } catch (error) {
        if (!isTransient(error, monotonicMs() - sinceMs) || this.#record.isOffline) throw error;
        if (!(await this.wait(retryDelayMs(failures), 'server'))) throw error;
      }
    }
  }

  #apply(asked: ControlRequest | undefined): void {
    const { state, action } = applyRequest(this.#state, asked);
    this.#state = state;
    if (!action) return;
    this.#record.note(action);
    if (state.request === 'abort') this.#stopped.abort();
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#sleepers) wake();
  }
}

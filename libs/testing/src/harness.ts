import type { RunService } from '@loopstack/core';
import { LoopstackError, durationMs, filterCovers, isSubjectFilter, type Duration, type Headers, type RunFilter } from '@loopstack/shared';
import type { MemoryDeadLetters } from './broker/memory-dead-letters.js';
import type { MemoryRuntime } from './broker/memory-runtime.js';
import { standsBehind } from './runtimes.js';
import type { StartedRun } from './broker/run-state.js';

/** Real time after which `advance` no longer waits for a run that does nothing here: it may wait for a timer, or for ever. */
const PATIENCE_MS = 50;
const SETTLE_MS = 5000;

/** The test's hand on the in-memory broker: `module.get(LoopstackHarness)`. */
export class LoopstackHarness {
  readonly #runtime: MemoryRuntime;
  /** One after the other. */
  #advanced: Promise<void> = Promise.resolve();

  constructor(runtime: MemoryRuntime, runService: RunService) {
    this.#runtime = runtime;
    standsBehind(runtime, runService);
    standsBehind(runtime, this);
  }

  /** Dead letters: to look at, to redrive, to discard. */
  get deadLetters(): MemoryDeadLetters {
    return this.#runtime.deadLetters;
  }

  /** The broker's time: that of the machine (or of fake timers), and what `advance` has added. */
  get now(): Date {
    return new Date(this.#runtime.broker.clock.nowMs());
  }

  /**
   * Moves the broker's clock ahead. Delayed runs, retries, schedules and timeouts that are due on the way happen one after the other,
   * each exactly at its time, and what they start is waited for. `Date` and timers of the workflows stay as they are.
   * @throws LoopstackError OPTION_INVALID
   */
  advance(by: Duration): Promise<void> {
    const advanced = this.#advanced.then(() => this.#advance(durationMs('advance', by)));
    this.#advanced = advanced.catch(() => undefined);
    return advanced;
  }

  async #advance(byMs: number): Promise<void> {
    const { clock, activity } = this.#runtime.broker;
    await this.#runtime.started();
    clock.hold();
    try {
      const targetMs = clock.nowMs() + byMs;
      await activity.quiet(PATIENCE_MS);
      for (let next = clock.nextMs; next !== undefined && next <= targetMs; next = clock.nextMs) {
        clock.moveTo(next);
        await activity.quiet(PATIENCE_MS);
      }
      clock.moveTo(targetMs);
      await activity.quiet(PATIENCE_MS);
    } finally {
      clock.release();
    }
  }

  /**
   * Waits until nothing is left to do at this time: no run is queued or executes, no event is to be handled. Delayed runs and those that
   * wait for their next attempt are left alone.
   * @param options.timeout longest wait, in real time. Default 5 s
   * @throws Error naming what is still under way
   */
  async settled({ timeout = SETTLE_MS }: { readonly timeout?: Duration } = {}): Promise<void> {
    const { activity } = this.#runtime.broker;
    await this.#runtime.started();
    const timeoutMs = durationMs('timeout', timeout);
    if (await activity.ended(timeoutMs)) return;
    const { titles } = activity;
    throw new Error(`not settled within ${timeoutMs} ms: ${titles.slice(0, 5).join(', ')}${titles.length > 5 ? ', …' : ''}`);
  }

  /**
   * Publishes an event, or a run command as any other program would (`loopstack.run.<workspace>.<workflow>`).
   * @param body bytes and text as they are, anything else as JSON
   * @throws LoopstackError OPTION_INVALID, PAYLOAD_TOO_LARGE, STREAM_FULL
   */
  async publish(subject: string, body: unknown, headers: Headers = {}): Promise<void> {
    const { broker } = this.#runtime;
    const { captures } = broker.options.names;
    await this.#runtime.started();
    const captured = (subjects: readonly string[]): boolean => subjects.some((wide) => filterCovers(wide, subject));
    const isOurs = captured([...captures.events, ...captures.dead, ...captures.schedules]);
    if (!isSubjectFilter(subject) || /[*>]/.test(subject) || isOurs) {
      const expected = 'the subject of an event, or of a run command';
      throw new LoopstackError('OPTION_INVALID', { option: 'subject', expected, received: JSON.stringify(subject) });
    }
    const data = body instanceof Uint8Array ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    broker.publish(captured(captures.runs) ? broker.runs : broker.inbound, subject, data, headers);
  }

  /** The runs that were started, those that were stored first in front, with their payloads. */
  runs(filter: Pick<RunFilter, 'workspace' | 'workflow'> = {}): readonly StartedRun[] {
    const { workspace, workflow } = filter;
    return this.#runtime.state
      .all()
      .filter((run) => (workspace ?? run.workspace) === run.workspace && (workflow ?? run.workflow) === run.workflow);
  }
}

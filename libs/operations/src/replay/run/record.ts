import { printable } from '@loopstack/shared/contract';
import type { ControlRequest, ReplayAction, ReplayReport, ReplayStatus } from '../replay-log.js';
import { TakenOverError } from './command-batches.js';
import type { Meter } from './meter.js';
import type { Tally } from './tally.js';
import type { ReplayTools } from './tools.js';

/** Writes the record of a running replay: one write at a time, in order. */
export class ReplayRecord {
  readonly #tools: Pick<ReplayTools, 'api' | 'log' | 'batches'>;
  readonly #tally: Tally;
  readonly #meter: Meter;
  readonly #workedBeforeMs: number;
  #report: ReplayReport;
  #writing: Promise<void> = Promise.resolve();

  constructor(report: ReplayReport, tools: Pick<ReplayTools, 'api' | 'log' | 'batches'>, tally: Tally, meter: Meter) {
    this.#report = report;
    this.#tools = tools;
    this.#tally = tally;
    this.#meter = meter;
    this.#workedBeforeMs = report.workedMs;
  }

  get report(): ReplayReport {
    return this.#report;
  }

  /** Time that processes have worked on the replay. */
  get workedMs(): number {
    return this.#workedBeforeMs + this.#meter.elapsedMs;
  }

  /** The connection was closed for good. */
  get isOffline(): boolean {
    return this.#tools.api.nc.isClosed();
  }

  /** The last request of others. */
  requested(): Promise<ControlRequest | undefined> {
    return this.#tools.log.requested(this.#report.id);
  }

  /** The next write has it. */
  note(action: ReplayAction): void {
    this.#report = { ...this.#report, actions: [...this.#report.actions, action] };
  }

  save(status: ReplayStatus): Promise<void> {
    const { api, log, batches } = this.#tools;
    this.#report = {
      ...this.#report,
      ...this.#tally.stored,
      status,
      checkpointSequence: batches.checkpointSequence,
      workedMs: this.workedMs,
      invalid: [...this.#tally.invalid],
      heartbeatAt: api.clock.isoNow(),
    };
    const report = this.#report;
    this.#writing = this.#writing.catch(() => undefined).then(() => log.write(report));
    return this.#writing;
  }

  /** @throws TakenOverError where another process has taken the replay over and writes now */
  async beat(): Promise<void> {
    const { id, runner } = this.#report;
    const { runner: present } = await this.#tools.log.get(id);
    if (present !== runner) throw new TakenOverError(`${present} has gone on with it`);
    // As it is now: a pause may have begun meanwhile.
    await this.save(this.#report.status);
  }

  /** @param error why it was interrupted */
  async end(status: ReplayStatus, error?: unknown): Promise<void> {
    const hasEnded = status !== 'interrupted';
    this.#tally.settle();
    this.#report = {
      ...this.#report,
      ...(error === undefined ? {} : { error: printable((error as Error).message) }),
      ...(hasEnded ? { finishedAt: this.#tools.api.clock.isoNow() } : {}),
    };
    // Where the server is gone the record stays as it is; the checkpoints are true all the same.
    await this.save(status).catch((cause: unknown) => {
      if (hasEnded) throw cause;
    });
  }
}

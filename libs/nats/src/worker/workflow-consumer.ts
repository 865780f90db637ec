import { disowned, examine, recordsStart, type Outcome, type PreparedRun, type WorkflowRunner, PriorityRotation } from '@loopstack/core';
import { LoopstackError, keyConflict, runIdOrigin, type RunEvent } from '@loopstack/shared';
import { BoundedLogger } from '../upkeep/bounded-logger.js';
import type { CanceledIds, CanceledRuns } from './canceled-runs.js';
import type { CommandMessage } from './command-message.js';
import { Lane, type LaneOwner } from './lane.js';
import type { HistoryEnd } from '@loopstack/jetstream';
import { FencedError, type RunEvents } from './run-events.js';
import type { Settler } from './settler.js';
import type { CrashIsolationGate } from './crash-isolation-gate.js';

/**
 * Runs the commands of one workflow: takes them from its lanes while slots are free, looks at the history of those that
 * may have one, executes, and hands outcomes to the settler.
 */
export class WorkflowConsumer implements LaneOwner {
  readonly #logger: BoundedLogger;
  readonly #concurrency: number;
  #active = 0;
  #pumping = false;
  #stopping = false;
  readonly #rotation = new PriorityRotation();
  /** Suspects whose turn it is, and that wait for a free slot. */
  readonly #waitingForSlot: (() => void)[] = [];
  #finished = 0;
  readonly #canceled: CanceledIds;
  lanes: readonly Lane[] = [];

  constructor(
    readonly runner: WorkflowRunner,
    readonly settler: Settler,
    private readonly events: RunEvents,
    canceled: CanceledRuns,
    private readonly suspects: CrashIsolationGate,
  ) {
    this.#logger = new BoundedLogger(`${runner.entry.workspace}.${runner.entry.workflow}`);
    this.#concurrency = runner.entry.options.concurrency;
    this.#canceled = canceled.of(runner.entry);
  }

  /** Runs executing now. */
  get active(): number {
    return this.#active;
  }

  /** Runs settled since the start. */
  get finished(): number {
    return this.#finished;
  }

  get concurrency(): number {
    return this.#concurrency;
  }

  /** Starts what waits, as far as slots are free. Re-entrant: a run may end before `begin` returns. */
  pump(): void {
    if (this.#pumping || this.#stopping) return;
    this.#pumping = true;
    try {
      while (this.#active < this.#concurrency) {
        const suspect = this.#waitingForSlot.shift();
        if (suspect) {
          this.#active++;
          suspect();
          continue;
        }
        const message = this.#next();
        if (!message) break;
        this.#begin(message);
      }
    } finally {
      this.#pumping = false;
    }
    for (const lane of this.lanes) lane.pull();
  }

  /** Aborts what executes of these runs and is canceled by its history. */
  async cancel(runIds: ReadonlySet<string>): Promise<void> {
    const told: CommandMessage[] = [];
    for (const lane of this.lanes) {
      for (const message of lane.leases)
        if (message.execution && message.runId !== undefined && runIds.has(message.runId)) told.push(message);
    }
    await Promise.all(
      told.map(async ({ runId, execution }) => {
        if (await this.#wasCanceled(runId as string)) execution?.abort('canceled');
      }),
    );
  }

  /** Gives back what waits, lets what runs finish until `deadline`, then aborts it. Resolves when all is settled. */
  async stop(deadline: Promise<void>): Promise<void> {
    this.#stopping = true;
    for (const lane of this.lanes) lane.stop((message) => this.#giveBack(message, lane));
    for (const suspect of this.#waitingForSlot.splice(0)) {
      this.#active++;
      suspect();
    }
    void deadline.then(() => {
      this.settler.stop();
      for (const execution of this.runner.active) execution.abort('shutdown');
    });
    await Promise.all(this.lanes.map((lane) => lane.empty()));
  }

  /** Gives back what was not started. */
  #giveBack(message: CommandMessage, lane: Lane): void {
    const run = this.runner.prepare(message);
    // Nothing has happened to one that was delivered once: to say so keeps its attempt.
    if (!run.examined || (run.trusted && message.deliveries === 1))
      void this.settler.giveBack(message, run.runId, 1).finally(() => lane.settled(message));
    else {
      message.nak(0);
      lane.settled(message);
    }
  }

  #next(): CommandMessage | undefined {
    if (this.lanes.length === 1) return (this.lanes[0] as Lane).take();
    return this.#rotation.next((priority) => this.lanes.find((lane) => lane.priority === priority)?.take());
  }

  #begin(message: CommandMessage): void {
    this.#active++;
    const run = this.runner.prepare(message);
    this.#own(message, run);
    if (run.examined || this.#canceled.isPerhaps(run.runId, message) || this.#recordsStart(1)) {
      this.#examine(message, run).catch((error: unknown) => {
        this.#logger.error(`Run ${run.runId} could not be examined: ${(error as Error).message}`);
        this.#active--;
        message.nak(1000);
        this.#released(message);
      });
    } else if (!this.#endsLate(message, run, 1)) {
      this.#execute(message, run, 1);
    }
  }

  #own(message: CommandMessage, run: PreparedRun): PreparedRun {
    message.runId = run.runId;
    message.content = run.content;
    return run;
  }

  /** The path of commands whose run may have a history: read it, decide, and record the start of what could die untold. */
  async #examine(message: CommandMessage, run: PreparedRun): Promise<void> {
    const { entry } = this.runner;
    // A run that an event starts, and one that is signed, has hardly ever a history: to claim it tells as much, in one step.
    const origin = runIdOrigin(run.runId);
    const claimFirst = message.deliveries === 1 && (origin === 'event' || (run.trusted && origin !== 'key'));
    const examined = run.examined || this.#canceled.isPerhaps(run.runId, message);
    let last = examined && !claimFirst ? await this.events.end(entry, run.runId) : undefined;
    if (!last?.event && run.claimed && message.deliveries === 1) last = await this.#claim(message, run, last?.sequence ?? 0);
    const conflict = last?.event?.sequence === message.sequence ? undefined : keyConflict(run.runId, last?.event?.content, run.content);
    if (conflict) return this.#examine(message, this.#own(message, disowned(run, conflict)));
    message.eventSequence = last?.sequence ?? 0;
    this.settler.handOver.seen(message, last?.event);
    const decision = examine(message.deliveries, message.sequence, last?.event, entry.options.retry);
    if (decision.action === 'stands') {
      if (decision.failed && last?.event) {
        this.#active--;
        await this.settler.repeatDeadLetter(message, run, last.event);
        this.#released(message);
        return;
      }
      this.#ended(message, run, 1, { kind: 'stands' });
      return;
    }
    if (decision.action === 'died') {
      this.#ended(message, run, decision.attempt, {
        kind: 'worker-died',
        error: new LoopstackError('WORKER_DIED', { attempt: decision.attempt }),
      });
      return;
    }
    const { attempt, begun } = decision;
    const leave = decision.alone ? await this.#turnWithSlot(message, run, attempt, decision.strict === true) : undefined;
    try {
      if (message.settled || this.#stopping) {
        this.#ended(message, run, attempt, { kind: message.settled ? 'lease-lost' : 'shutdown' });
        leave?.();
        return;
      }
      if (!begun && this.#endsLate(message, run, attempt)) {
        leave?.();
        return;
      }
      // What others have recorded may not tell which command has the run: a copy must not find it free.
      const unclaimed = run.trusted && last?.event?.sequence !== message.sequence;
      if (
        (unclaimed || this.#recordsStart(attempt, last?.event)) &&
        !(await this.settler.append(message, run.runId, this.#started(message, attempt)))
      ) {
        leave?.();
        this.#active--;
        this.#released(message);
        return;
      }
    } catch (error) {
      leave?.();
      throw error;
    }
    if (message.settled) {
      // The lease was lost while the start was recorded.
      leave?.();
      this.#ended(message, run, attempt, { kind: 'lease-lost' });
      return;
    }
    this.#execute(message, run, attempt, leave);
  }

  #started(message: CommandMessage, attempt: number): RunEvent {
    return this.settler.event('started', attempt, message, message.beside ? { beside: true } : {});
  }

  /** Waits for the gate of suspects, without a slot meanwhile: other runs go on. */
  async #turnWithSlot(message: CommandMessage, run: PreparedRun, attempt: number, strict: boolean): Promise<() => void> {
    this.#active--;
    this.pump();
    const joined = async (): Promise<void> => {
      const knows = message.beside;
      message.beside = true;
      // What has not begun records it with its start.
      if (!knows && message.execution) await this.#note(message, run, () => this.#started(message, attempt));
    };
    const { beside, leave } = await this.suspects.enter({ strict, joined });
    message.beside = beside;
    if (this.#active < this.#concurrency || this.#stopping) this.#active++;
    else await new Promise<void>((resolve) => this.#waitingForSlot.push(resolve));
    return leave;
  }

  /** A keyed run belongs to the first command that claims it. */
  async #claim(message: CommandMessage, run: PreparedRun, expected: number): Promise<HistoryEnd | undefined> {
    const { entry } = this.runner;
    const content = run.content === undefined ? {} : { content: run.content };
    const event: RunEvent = { type: 'queued', at: this.events.clock.isoNow(), attempt: 0, sequence: message.sequence, ...content };
    try {
      return { event, sequence: await this.events.append(entry, run.runId, expected, event) };
    } catch (error) {
      if (!(error instanceof FencedError)) throw error;
      return error.last;
    }
  }

  #recordsStart(attempt: number, last?: RunEvent): boolean {
    const { options } = this.runner.entry;
    return options.record === 'full' || recordsStart(attempt, options.retry, last);
  }

  /** Ends a run that no worker is known to have started, if it is past its deadline. */
  #endsLate(message: CommandMessage, run: PreparedRun, attempt: number): boolean {
    if (run.expiresAtMs === undefined || run.expiresAtMs > this.events.clock.nowMs()) return false;
    const expiresAt = new Date(run.expiresAtMs).toISOString();
    this.#ended(message, run, attempt, { kind: 'expired', error: new LoopstackError('EXPIRED', { expiresAt }) });
    return true;
  }

  #execute(message: CommandMessage, run: PreparedRun, attempt: number, leave?: () => void): void {
    const report =
      this.runner.entry.options.record === 'full' ? (value: unknown) => this.#progress(message, run, attempt, value) : undefined;
    message.begins();
    const execution = this.runner.execute(run, attempt, report, (outcome) => {
      leave?.();
      this.#ended(message, run, attempt, outcome);
    });
    message.execution = execution;
  }

  #progress(message: CommandMessage, run: PreparedRun, attempt: number, progress: unknown): Promise<void> {
    const beside = (): { beside?: true } => (message.beside ? { beside: true } : {});
    return this.#note(message, run, () => this.settler.event('progress', attempt, message, { progress, ...beside() }));
  }

  /** Records what happens while it runs, one after the other. Never rejects. */
  async #note(message: CommandMessage, run: PreparedRun, event: () => RunEvent): Promise<void> {
    const { entry } = this.runner;
    const previous = message.progressing;
    message.progressing = (async () => {
      await previous;
      if (message.settled || message.execution?.ended) return;
      try {
        message.eventSequence = await this.events.append(entry, run.runId, message.eventSequence, event());
      } catch (error) {
        if (error instanceof FencedError) message.execution?.abort(error.last?.event?.type === 'canceled' ? 'canceled' : 'lease-lost');
        else this.#logger.warn(`Run ${run.runId}: progress was not recorded: ${(error as Error).message}`);
      }
    })();
    await message.progressing;
  }

  async #wasCanceled(runId: string): Promise<boolean> {
    const last = await this.events.end(this.runner.entry, runId).catch(() => undefined);
    return last?.event?.type === 'canceled';
  }

  #ended(message: CommandMessage, run: PreparedRun, attempt: number, outcome: Outcome): void {
    this.#active--;
    const settling = message.progressing
      ? this.#settleAfterProgress(message.progressing, message, run, attempt, outcome)
      : this.settler.settle(message, run, attempt, outcome);
    if (settling) {
      this.#releaseAfter(settling, message);
      this.pump();
    } else this.#released(message);
  }

  async #settleAfterProgress(
    progressing: Promise<void>,
    message: CommandMessage,
    run: PreparedRun,
    attempt: number,
    outcome: Outcome,
  ): Promise<void> {
    await progressing;
    await this.settler.settle(message, run, attempt, outcome);
  }

  /** Apart, so that what waits keeps the message alone, not the payload and the outcome. */
  #releaseAfter(settling: Promise<void>, message: CommandMessage): void {
    void settling.then(() => this.#released(message));
  }

  #released(message: CommandMessage): void {
    this.#finished++;
    message.lane.settled(message);
    this.pump();
  }
}

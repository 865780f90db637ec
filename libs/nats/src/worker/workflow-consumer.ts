import { PriorityRotation, type Outcome, type PreparedRun, type WorkflowRunner } from '@loopstack/core';
import type { ServerClock } from '@loopstack/jetstream';
import type { DesiredConsumer } from '@loopstack/operations';
import type { CanceledRuns } from './canceled-runs.js';
import type { CommandMessage } from './command-message.js';
import type { CrashIsolationGate } from './queue/crash-isolation-gate.js';
import { Lane, type CommandTaker, type LaneServices } from './queue/lane.js';
import type { RunEvents } from './outcome/run-events.js';
import { RunExaminer, expired, type Examined } from './run-examiner.js';
import { RunNotes } from './outcome/run-notes.js';
import type { Settler } from './outcome/settler.js';
import { Slots } from './queue/slots.js';

export interface WorkflowServices {
  readonly settler: Settler;
  readonly events: RunEvents;
  readonly canceled: CanceledRuns;
  readonly suspects: CrashIsolationGate;
}

/**
 * Runs the commands of one workflow: takes them from its lanes while slots are free, has the history of those examined that may have
 * one, executes, and hands outcomes to the settler.
 */
export class WorkflowConsumer implements CommandTaker {
  readonly runner: WorkflowRunner;
  readonly settler: Settler;
  readonly #events: RunEvents;
  readonly #clock: ServerClock;
  readonly #notes: RunNotes;
  readonly #slots: Slots;
  readonly #examiner: RunExaminer;
  readonly #rotation = new PriorityRotation();
  readonly #lanes: Lane[] = [];
  #pumping = false;

  constructor(runner: WorkflowRunner, { settler, events, canceled, suspects }: WorkflowServices) {
    const { entry } = runner;
    this.runner = runner;
    this.settler = settler;
    this.#events = events;
    this.#clock = events.clock;
    this.#notes = new RunNotes(entry, events);
    this.#slots = new Slots(entry.options.concurrency, () => this.pump());
    const services = { events, settler, notes: this.#notes, slots: this.#slots, canceled: canceled.of(entry), suspects };
    this.#examiner = new RunExaminer(entry, services);
  }

  /** Runs executing now. */
  get active(): number {
    return this.#slots.active;
  }

  get concurrency(): number {
    return this.#slots.size;
  }

  get lanes(): readonly Lane[] {
    return this.#lanes;
  }

  addLane(desired: DesiredConsumer, services: LaneServices): Lane {
    const lane = new Lane(desired, this, services);
    this.#lanes.push(lane);
    return lane;
  }

  /** Starts what waits, as far as slots are free. Re-entrant: a run may end before `begin` returns. */
  pump(): void {
    if (this.#pumping || this.#slots.stopped) return;
    this.#pumping = true;
    try {
      while (this.#slots.isFree) {
        if (this.#slots.grant()) continue;
        const message = this.#next();
        if (!message) break;
        this.#begin(message);
      }
    } finally {
      this.#pumping = false;
    }
    for (const lane of this.#lanes) lane.pull();
  }

  /** Aborts what executes of these runs and is canceled by its history. */
  async cancel(runIds: ReadonlySet<string>): Promise<void> {
    const told = this.runner.active.filter(({ runId }) => runIds.has(runId));
    await Promise.all(
      told.map(async (execution) => {
        const last = await this.#events.end(this.runner.entry, execution.runId).catch(() => undefined);
        if (last?.event?.type === 'canceled') execution.abort('canceled');
      }),
    );
  }

  /** Gives back what waits, lets what runs finish until `deadline`, then aborts it. Resolves when all is settled. */
  async stop(deadline: Promise<void>): Promise<void> {
    for (const lane of this.#lanes) lane.stop((message) => this.#giveBack(message));
    this.#slots.stop();
    void deadline.then(() => {
      this.settler.stop();
      for (const execution of this.runner.active) execution.abort('shutdown');
    });
    await Promise.all(this.#lanes.map((lane) => lane.empty()));
  }

  /** Gives back what was not started. */
  #giveBack(message: CommandMessage): void {
    void this.settler.giveBackUnstarted(message, this.runner.prepare(message)).finally(() => message.lane.release(message));
  }

  #next(): CommandMessage | undefined {
    if (this.#lanes.length === 1) return (this.#lanes[0] as Lane).take();
    return this.#rotation.next((priority) => this.#lanes.find((lane) => lane.priority === priority)?.take());
  }

  #begin(message: CommandMessage): void {
    this.#slots.take();
    const run = this.runner.prepare(message);
    if (this.#examiner.isNeeded(message, run)) {
      this.#examiner.examine(message, run).then(
        (found) => this.#examined(message, run, found),
        (error: unknown) => this.#examineLater(message, run, error),
      );
      return;
    }
    const late = expired(run, this.#clock);
    if (late) this.#ended(message, run, 1, late);
    else this.#execute(message, run, 1);
  }

  #examined(message: CommandMessage, run: PreparedRun, found: Examined): void {
    try {
      this.#carryOut(message, found);
    } catch (error) {
      this.#examineLater(message, run, error);
    }
  }

  #carryOut(message: CommandMessage, found: Examined): void {
    switch (found.action) {
      case 'execute':
        this.#execute(message, found.run, found.attempt, found.leave);
        return;
      case 'end':
        this.#ended(message, found.run, found.attempt, found.outcome);
        return;
      case 'repeat-dead-letter':
        this.#slots.release();
        this.#releaseAfter(this.settler.repeatDeadLetter(message, found.run, found.failed), message);
        return;
      case 'none':
        this.#slots.release();
        this.#release(message);
    }
  }

  #examineLater(message: CommandMessage, run: PreparedRun, error: unknown): void {
    this.#slots.release();
    this.settler.examineLater(message, run, error);
    this.#release(message);
  }

  #execute(message: CommandMessage, run: PreparedRun, attempt: number, leave?: () => void): void {
    const report =
      this.runner.entry.options.record === 'full' ? (value: unknown) => this.#notes.progress(message, run, attempt, value) : undefined;
    message.begin();
    const execution = this.runner.execute(run, attempt, report, (outcome) => {
      leave?.();
      this.#ended(message, run, attempt, outcome);
    });
    message.executes(execution);
  }

  #ended(message: CommandMessage, run: PreparedRun, attempt: number, outcome: Outcome): void {
    this.#slots.release();
    const notes = this.#notes.written(message);
    const settling = notes
      ? notes.then(() => this.settler.settle(message, run, attempt, outcome))
      : this.settler.settle(message, run, attempt, outcome);
    if (settling) {
      this.#releaseAfter(settling, message);
      this.pump();
    } else this.#release(message);
  }

  /** Apart, so that what waits keeps the message alone, not the payload and the outcome. */
  #releaseAfter(settling: Promise<void>, message: CommandMessage): void {
    void settling.then(() => this.#release(message));
  }

  #release(message: CommandMessage): void {
    message.lane.release(message);
    this.pump();
  }
}

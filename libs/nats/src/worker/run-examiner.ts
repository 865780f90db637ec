import {
  disowned,
  examine,
  recordsStart,
  type Examination,
  type Outcome,
  type PreparedRun,
  type RegisteredWorkflow,
} from '@loopstack/core';
import type { HistoryEnd, ServerClock } from '@loopstack/jetstream';
import { LoopstackError, keyConflict, runIdOrigin, type RunEvent } from '@loopstack/shared';
import type { CanceledIds } from './canceled-runs.js';
import type { CommandMessage } from './command-message.js';
import type { CrashIsolationGate } from './queue/crash-isolation-gate.js';
import { FencedError, type RunEvents } from './outcome/run-events.js';
import type { RunNotes } from './outcome/run-notes.js';
import type { Settler } from './outcome/settler.js';
import type { Slots } from './queue/slots.js';

/** The next step for a command whose run was looked up. */
export type Examined =
  /** `leave`: called when it has ended, where it is a suspect. */
  | { readonly action: 'execute'; readonly run: PreparedRun; readonly attempt: number; readonly leave?: (() => void) | undefined }
  | { readonly action: 'end'; readonly run: PreparedRun; readonly attempt: number; readonly outcome: Outcome }
  /** Its failure is recorded; its dead letter may be missing. */
  | { readonly action: 'repeat-dead-letter'; readonly run: PreparedRun; readonly failed: RunEvent }
  /** Another worker has it: it is answered already. */
  | { readonly action: 'none' };

export interface ExaminerServices {
  readonly events: RunEvents;
  readonly settler: Settler;
  readonly notes: RunNotes;
  readonly slots: Slots;
  readonly canceled: CanceledIds;
  readonly suspects: CrashIsolationGate;
}

type Attempt = Extract<Examination, { readonly action: 'run' }>;

const NONE: Examined = { action: 'none' };

/** The outcome of a run that no worker is known to have started, if it is past its deadline. */
export function expired({ expiresAtMs }: PreparedRun, clock: ServerClock): Outcome | undefined {
  if (expiresAtMs === undefined || expiresAtMs > clock.nowMs()) return undefined;
  return { kind: 'expired', error: new LoopstackError('EXPIRED', { expiresAt: new Date(expiresAtMs).toISOString() }) };
}

/** The path of commands whose run may have a history: reads it, decides, and records the start of what could die untold. */
export class RunExaminer {
  readonly #entry: RegisteredWorkflow;
  readonly #services: ExaminerServices;

  constructor(entry: RegisteredWorkflow, services: ExaminerServices) {
    this.#entry = entry;
    this.#services = services;
  }

  /** Whether a command may be executed only after it was examined. */
  isNeeded(message: CommandMessage, run: PreparedRun): boolean {
    return this.#mayHaveHistory(message, run) || this.#recordsStart(1);
  }

  /** A suspect waits here for its turn, without a slot. @throws where the server does not answer, and nothing is recorded */
  async examine(message: CommandMessage, run: PreparedRun): Promise<Examined> {
    const { events, settler } = this.#services;
    const isFirst = message.deliveries === 1;
    // A run that an event starts, and one that is signed, has hardly ever a history: to claim it tells as much, in one step.
    const origin = runIdOrigin(run.runId);
    const claimFirst = isFirst && (origin === 'event' || (run.trusted && origin !== 'key'));
    let last = !claimFirst && this.#mayHaveHistory(message, run) ? await events.end(this.#entry, run.runId) : undefined;
    if (!last?.event && run.claimed && isFirst) last = await this.#claim(message, run, last?.sequence ?? 0);
    const conflict = last?.event?.sequence === message.sequence ? undefined : keyConflict(run.runId, last?.event?.content, run.content);
    if (conflict) return this.examine(message, disowned(run, conflict));
    message.sawHistory(last?.sequence ?? 0);
    settler.releases.seen(message, last?.event);
    const decision = examine(message.deliveries, message.sequence, last?.event, this.#entry.options.retry);
    switch (decision.action) {
      case 'already-settled':
        if (decision.failed && last?.event) return { action: 'repeat-dead-letter', run, failed: last.event };
        return { action: 'end', run, attempt: 1, outcome: { kind: 'already-settled' } };
      case 'died': {
        const { attempt } = decision;
        return { action: 'end', run, attempt, outcome: { kind: 'worker-died', error: new LoopstackError('WORKER_DIED', { attempt }) } };
      }
      case 'run':
        return decision.alone ? this.#beginAlone(message, run, decision, last?.event) : this.#begin(message, run, decision, last?.event);
    }
  }

  #mayHaveHistory(message: CommandMessage, run: PreparedRun): boolean {
    return run.examined || this.#services.canceled.isPerhaps(run.runId, message);
  }

  #recordsStart(attempt: number, last?: RunEvent): boolean {
    const { options } = this.#entry;
    return options.record === 'full' || recordsStart(attempt, options.retry, last);
  }

  /** A keyed run belongs to the first command that claims it. */
  async #claim(message: CommandMessage, run: PreparedRun, expected: number): Promise<HistoryEnd | undefined> {
    const { events } = this.#services;
    const content = run.content === undefined ? {} : { content: run.content };
    const event: RunEvent = { type: 'queued', at: events.clock.isoNow(), attempt: 0, sequence: message.sequence, ...content };
    try {
      return { event, sequence: await events.append(this.#entry, run.runId, expected, event) };
    } catch (error) {
      if (!(error instanceof FencedError)) throw error;
      return error.last;
    }
  }

  /** A suspect begins when it is its turn. */
  async #beginAlone(message: CommandMessage, run: PreparedRun, decision: Attempt, last: RunEvent | undefined): Promise<Examined> {
    const { suspects, slots, notes } = this.#services;
    const suspect = { strict: decision.strict === true, joined: () => notes.joined(message, run, decision.attempt) };
    const { leave } = await slots.without(async () => {
      const turn = await suspects.enter(suspect);
      notes.begins(message, turn.beside);
      return turn;
    });
    try {
      const found = await this.#begin(message, run, decision, last);
      if (found.action === 'execute') return { ...found, leave };
      leave();
      return found;
    } catch (error) {
      leave();
      throw error;
    }
  }

  /** Not async: of most runs there is nothing to record. */
  #begin(message: CommandMessage, run: PreparedRun, decision: Attempt, last: RunEvent | undefined): Examined | Promise<Examined> {
    const { attempt, begun } = decision;
    const { slots, events } = this.#services;
    if (message.settled) return { action: 'end', run, attempt, outcome: { kind: 'lease-lost' } };
    if (slots.stopped) return { action: 'end', run, attempt, outcome: { kind: 'shutdown' } };
    const late = begun ? undefined : expired(run, events.clock);
    if (late) return { action: 'end', run, attempt, outcome: late };
    // What others have recorded may not tell which command has the run: a copy must not find it free.
    const isUnclaimed = run.trusted && last?.sequence !== message.sequence;
    if (!isUnclaimed && !this.#recordsStart(attempt, last)) return { action: 'execute', run, attempt };
    return this.#recordStart(message, run, attempt);
  }

  async #recordStart(message: CommandMessage, run: PreparedRun, attempt: number): Promise<Examined> {
    const { settler, notes } = this.#services;
    if (!(await settler.append(message, run, notes.started(message, run, attempt)))) return NONE;
    // The lease was lost meanwhile.
    if (message.settled) return { action: 'end', run, attempt, outcome: { kind: 'lease-lost' } };
    return { action: 'execute', run, attempt };
  }
}

import type { PreparedRun, RegisteredWorkflow } from '@loopstack/core';
import type { RunEvent } from '@loopstack/shared';
import { BoundedLogger } from '../../upkeep/bounded-logger.js';
import type { CommandMessage } from '../command-message.js';
import { FencedError, type RunEvents } from './run-events.js';

/** Records what happens to a run before its outcome: its start, its progress, and that a suspect begins beside it. */
export class RunNotes {
  readonly #entry: RegisteredWorkflow;
  readonly #events: RunEvents;
  readonly #logger: BoundedLogger;
  /** Suspects that have others beside them. */
  readonly #beside = new WeakSet<CommandMessage>();
  /** The last note of each run that is being recorded: notes are written in order. */
  readonly #writing = new Map<CommandMessage, Promise<void>>();

  constructor(entry: RegisteredWorkflow, events: RunEvents) {
    this.#entry = entry;
    this.#events = events;
    this.#logger = new BoundedLogger(`${entry.workspace}.${entry.workflow}`);
  }

  /** Resolves when all notes of a run are written; undefined: they are. */
  written(message: CommandMessage): Promise<void> | undefined {
    return this.#writing.size === 0 ? undefined : this.#writing.get(message);
  }

  started(message: CommandMessage, run: PreparedRun, attempt: number): RunEvent {
    return this.#events.describe('started', attempt, run, this.#beside.has(message) ? { beside: true } : {});
  }

  progress(message: CommandMessage, run: PreparedRun, attempt: number, progress: unknown): Promise<void> {
    const event = (): RunEvent =>
      this.#events.describe('progress', attempt, run, { progress, ...(this.#beside.has(message) ? { beside: true } : {}) });
    return this.#note(message, run, event);
  }

  /** Another suspect is about to run beside this one. */
  async joined(message: CommandMessage, run: PreparedRun, attempt: number): Promise<void> {
    const isKnown = this.#beside.has(message);
    this.#beside.add(message);
    // A run that has not begun records it with its start.
    if (!isKnown && message.execution) await this.#note(message, run, () => this.started(message, run, attempt));
  }

  /** How a suspect begins. */
  begins(message: CommandMessage, beside: boolean): void {
    if (beside) this.#beside.add(message);
    else this.#beside.delete(message);
  }

  /** One note after the other. Never rejects. */
  #note(message: CommandMessage, run: PreparedRun, event: () => RunEvent): Promise<void> {
    const previous = this.#writing.get(message) ?? Promise.resolve();
    const note: Promise<void> = previous
      .then(() => this.#write(message, run, event))
      .finally(() => {
        if (this.#writing.get(message) === note) this.#writing.delete(message);
      });
    this.#writing.set(message, note);
    return note;
  }

  async #write(message: CommandMessage, run: PreparedRun, event: () => RunEvent): Promise<void> {
    if (message.settled || message.execution?.ended) return;
    try {
      message.sawHistory(await this.#events.append(this.#entry, run.runId, message.historySequence, event()));
    } catch (error) {
      if (error instanceof FencedError) message.execution?.abort(error.last?.event?.type === 'canceled' ? 'canceled' : 'lease-lost');
      else this.#logger.warn(`Run ${run.runId}: progress was not recorded: ${(error as Error).message}`);
    }
  }
}

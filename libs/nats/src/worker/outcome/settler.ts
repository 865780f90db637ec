import {
  factsOfRun,
  framesOf,
  originOf,
  recordedError,
  redactedBody,
  settle,
  type Outcome,
  type PreparedRun,
  type RegisteredWorkflow,
  type Settlement,
} from '@loopstack/core';
import { isUnavailable, type HistoryEnd, type ServerClock } from '@loopstack/jetstream';
import { LoopstackError, encodeRunEvent, isOutcome, monotonicMs, printable, type RecordedError, type RunEvent } from '@loopstack/shared';
import type { Alarms } from '../../health/health.js';
import { BoundedLogger } from '../../upkeep/bounded-logger.js';
import type { CommandMessage } from '../command-message.js';
import type { DeadLetterWriter } from './dead-letter-writer.js';
import type { OtherReleases } from '../other-releases.js';
import { FencedError, type RunEvents } from './run-events.js';

/** Wait before an event is written again that could not be written. */
const WRITE_AGAIN_MS = 1000;
/** Wait before a command is delivered again whose history could not be read. */
const EXAMINE_AGAIN_MS = 1000;
/** Wait before a command is delivered again that could not be settled. */
const KEEP_MS = 5000;

export interface SettlerServices {
  readonly events: RunEvents;
  readonly deadLetters: DeadLetterWriter;
  readonly alarms: Alarms;
  readonly releases: OtherReleases;
  /** The stream of the commands. */
  readonly stream: string;
}

/** Carries settlements out: the one place that answers for a message, records outcomes and writes dead letters. */
export class Settler {
  readonly releases: OtherReleases;
  readonly #entry: RegisteredWorkflow;
  readonly #services: SettlerServices;
  readonly #events: RunEvents;
  readonly #clock: ServerClock;
  readonly #logger: BoundedLogger;
  #stopping = false;

  constructor(entry: RegisteredWorkflow, services: SettlerServices) {
    this.#entry = entry;
    this.#services = services;
    this.#events = services.events;
    this.#clock = services.events.clock;
    this.releases = services.releases;
    this.#logger = new BoundedLogger(`${entry.workspace}.${entry.workflow}`);
  }

  stop(): void {
    this.#stopping = true;
  }

  /** Settles a message. Undefined: nothing is left to do for it; else resolves when that is so, and never rejects. */
  settle(message: CommandMessage, run: PreparedRun, attempt: number, outcome: Outcome): Promise<void> | undefined {
    const settlement = settle(outcome, attempt, this.#entry.options.retry, Math.random());
    // Where its history says that it waits, its end is recorded, whatever else is not.
    if (settlement.action === 'succeed' && (this.#entry.options.record !== 'none' || this.releases.wasRefused(message))) {
      const event = this.#events.describeSuccess(attempt, run, settlement.json);
      if (event.length <= this.#events.maxBytes) return this.#recordSuccess(message, run, event);
      return this.#carryOut(this.#unrecordable(event.length), message, run, attempt);
    }
    if (settlement.action !== 'ack' && settlement.action !== 'succeed') return this.#carryOut(settlement, message, run, attempt);
    try {
      message.ack();
    } catch (error) {
      this.#keep(message, error);
    }
    return undefined;
  }

  /** The effects are done, and another attempt would end the same way. */
  #unrecordable(bytes: number): Settlement & { action: 'dead' } {
    const details = { workflow: this.#entry.workflow, bytes, limit: this.#events.maxBytes };
    return { action: 'dead', reason: 'failed', error: new LoopstackError('RESULT_TOO_LARGE', details) };
  }

  async #carryOut(
    settlement: Exclude<Settlement, { action: 'ack' | 'succeed' }>,
    message: CommandMessage,
    run: PreparedRun,
    attempt: number,
  ): Promise<void> {
    try {
      switch (settlement.action) {
        case 'drop':
          this.#logger.warn(`Run ${run.runId}: the lease was lost in attempt ${attempt}; its outcome is void`);
          return message.drop();
        case 'expire': {
          const facts = { error: recordedError(settlement.error), ...originOf(run) };
          return await this.#record(message, run, this.#events.describe('expired', attempt - 1, run, facts));
        }
        case 'retry':
          return await this.#retry(message, run, attempt, settlement);
        case 'return':
          return await this.giveBack(message, run, attempt);
        case 'dead':
          return await this.#dead(message, run, attempt, settlement);
      }
    } catch (error) {
      this.#keep(message, error);
    }
  }

  async #dead(message: CommandMessage, run: PreparedRun, attempt: number, settlement: Settlement & { action: 'dead' }): Promise<void> {
    const { error, reason } = settlement;
    const isRefused = error.code === 'PAYLOAD_INVALID' && reason === 'invalid';
    if (isRefused && (await this.#leaveToOthers(message, run, attempt, error))) return;
    this.#logger.error(`Run ${run.runId} is dead after attempt ${attempt}: ${error.message}`, framesOf(error.cause));
    const recorded = recordedError(error);
    // The fence first: a stale worker must not dead-letter a run that another one has done.
    const failed = this.#events.describe('failed', attempt, run, { error: recorded, ...originOf(run) });
    if (!(await this.append(message, run, failed))) return;
    await this.#writeDeadLetter(message, run, attempt, recorded);
    message.ack();
  }

  /** Gives back a command that another release may take; the attempt does not count. False: there is none. */
  async #leaveToOthers(message: CommandMessage, run: PreparedRun, attempt: number, error: LoopstackError): Promise<boolean> {
    const given = await this.releases.accept(message, error);
    if (!given) return false;
    const { refusal, delayMs } = given;
    const facts = { deliveries: message.lastDelivery, refusal, error: recordedError(error) };
    if (await this.append(message, run, this.#events.describe('queued', attempt - 1, run, facts))) message.nak(delayMs);
    return true;
  }

  /** Writes the dead letter of a run whose failure is recorded already, in case the process died between the two. */
  async repeatDeadLetter(message: CommandMessage, run: PreparedRun, failed: RunEvent): Promise<void> {
    try {
      await this.#writeDeadLetter(message, run, failed.attempt, failed.error);
      message.ack();
    } catch (error) {
      this.#keep(message, error);
    }
  }

  async #writeDeadLetter(message: CommandMessage, run: PreparedRun, attempts: number, error: RecordedError | undefined): Promise<void> {
    const { alarms, deadLetters, stream } = this.#services;
    const { workspace, workflow, options } = this.#entry;
    const facts = factsOfRun(run, attempts, error, { stream, time: this.#clock.isoNow() });
    const alarm = `dead-letter:${workspace}.${workflow}`;
    try {
      await deadLetters.write(this.#entry, message, facts, redactedBody(options.redactor, run));
      alarms.clear(alarm);
    } catch (cause) {
      alarms.raise(alarm, `dead letters of ${workspace}.${workflow} cannot be written: ${(cause as Error).message}`);
      throw cause;
    }
  }

  /** The happy path of `record`: one append, and the acknowledgement when it is stored. What goes wrong takes the long way. */
  #recordSuccess(message: CommandMessage, { runId }: PreparedRun, event: Uint8Array): Promise<void> {
    return this.#events.store(this.#entry, runId, message.historySequence, event).then(
      (sequence) => {
        message.sawHistory(sequence);
        message.ack();
      },
      (cause: unknown) => this.#record(message, { runId }, event, cause).catch((error: unknown) => this.#keep(message, error)),
    );
  }

  async #record(message: CommandMessage, run: Pick<PreparedRun, 'runId'>, event: RunEvent | Uint8Array, failed?: unknown): Promise<void> {
    if (await this.append(message, run, event, failed)) message.ack();
  }

  async #retry(
    message: CommandMessage,
    run: PreparedRun,
    attempt: number,
    { delayMs, error }: Settlement & { action: 'retry' },
  ): Promise<void> {
    this.#logger.warn(`Run ${run.runId}: attempt ${attempt} failed, the next one in ${delayMs} ms: ${error.message}`);
    const nextAtMs = monotonicMs() + delayMs;
    const nextAttemptAt = new Date(this.#clock.nowMs() + delayMs).toISOString();
    const retrying = this.#events.describe('retrying', attempt, run, { error: recordedError(error), nextAttemptAt });
    // Recording it took of the wait.
    if (await this.append(message, run, retrying)) message.nak(Math.max(0, nextAtMs - monotonicMs()));
  }

  /** Gives a command back in a shutdown; the attempt does not count. Recording that is an attempt only: the process ends. */
  async giveBack(message: CommandMessage, run: PreparedRun, attempt: number): Promise<void> {
    const { runId } = run;
    await this.#events
      .append(
        this.#entry,
        runId,
        message.historySequence,
        this.#events.describe('queued', attempt - 1, run, { deliveries: message.lastDelivery }),
      )
      .catch((error: Error) => this.#logger.debug(`Run ${runId} is given back without a record: ${error.message}`));
    message.nak(0);
  }

  /** Gives back a command that was not started. */
  async giveBackUnstarted(message: CommandMessage, run: PreparedRun): Promise<void> {
    // Nothing has happened to one that was delivered once: to say so keeps its attempt.
    if (!run.examined || (run.trusted && message.deliveries === 1)) await this.giveBack(message, run, 1);
    else message.nak(0);
  }

  /** The history of its run could not be read. */
  examineLater(message: CommandMessage, { runId }: PreparedRun, error: unknown): void {
    this.#logger.error(`Run ${runId} could not be examined: ${(error as Error).message}`);
    message.nak(EXAMINE_AGAIN_MS);
  }

  /**
   * Appends to the run's history, trying again while the lease is held. `failed`: what the first try was rejected with.
   * @returns false if another worker was first; the message is answered or dropped then
   */
  async append(
    message: CommandMessage,
    { runId }: Pick<PreparedRun, 'runId'>,
    event: RunEvent | Uint8Array,
    failed?: unknown,
  ): Promise<boolean> {
    const bytes = event instanceof Uint8Array ? event : encodeRunEvent(event);
    for (let first = failed; ; first = undefined) {
      try {
        const expected = message.historySequence;
        const sequence = await (first === undefined
          ? this.#events.appendBytes(this.#entry, runId, expected, bytes)
          : this.#events.refused(this.#entry, runId, expected, bytes, first));
        message.sawHistory(sequence);
        return true;
      } catch (error) {
        if (error instanceof FencedError) {
          this.#fenced(message, runId, error.last);
          return false;
        }
        const passes = (error instanceof LoopstackError && error.retryable) || isUnavailable(error);
        if (!passes || this.#stopping || message.settled) throw error;
        this.#logger.warn(`Run ${runId}: what happened to it could not be recorded, trying again: ${error.message}`);
        await new Promise((resolve) => setTimeout(resolve, WRITE_AGAIN_MS));
      }
    }
  }

  /**
   * Another event came between: another worker has the run, or had it. A nak would count for the delivery of that one: the server goes by the
   * command alone.
   */
  #fenced(message: CommandMessage, runId: string, last: HistoryEnd | undefined): void {
    const recorded = last?.event;
    if (recorded && isOutcome(recorded.type)) {
      this.#logger.warn(`Run ${runId}: the outcome ${recorded.type} stands already; what this worker has to tell is refused`);
      // Its dead letter may be missing: seen to at the next delivery, if there is one.
      if (recorded.type === 'failed') message.nak(WRITE_AGAIN_MS);
      else message.ack();
    } else {
      this.#logger.warn(`Run ${runId}: another worker has it; what this one has to tell is refused`);
      message.drop();
    }
  }

  /** What cannot be settled is kept: delivered again later, never lost. */
  #keep(message: CommandMessage, error: unknown): void {
    this.#logger.error(`The command at ${message.sequence} could not be settled and is kept: ${printable((error as Error).message)}`);
    message.nak(KEEP_MS);
  }
}

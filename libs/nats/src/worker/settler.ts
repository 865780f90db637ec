import {
  framesOf,
  settle,
  type Outcome,
  type PreparedRun,
  type RegisteredWorkflow,
  type Settlement,
  factsOfRun,
  originOf,
  recordedError,
  redactedBody,
} from '@loopstack/core';
import { LoopstackError, encodeRunEvent, isOutcome, printable, monotonicMs, type RecordedError, type RunEvent } from '@loopstack/shared';
import { isUnavailable, type ServerClock, type HistoryEnd } from '@loopstack/jetstream';
import { BoundedLogger } from '../upkeep/bounded-logger.js';
import type { CommandMessage } from './command-message.js';
import type { DeadLetterWriter } from './dead-letter-writer.js';
import type { HandOver } from '../topology/hand-over.js';
import type { Alarms } from '../health/health.js';
import { FencedError, type RunEvents } from './run-events.js';

/** Wait before what could not be written is written again, and before a command is delivered again that could not be settled. */
const WRITE_AGAIN_MS = 1000;
const KEEP_MS = 5000;

/** Carries settlements out: the one place that answers for a message, records outcomes and writes dead letters. */
export class Settler {
  readonly #logger: BoundedLogger;
  readonly #workerJson: string;
  readonly #clock: ServerClock;
  #stopping = false;

  constructor(
    private readonly entry: RegisteredWorkflow,
    private readonly stream: string,
    private readonly worker: string,
    private readonly events: RunEvents,
    private readonly deadLetters: DeadLetterWriter,
    private readonly alarms: Alarms,
    readonly handOver: HandOver,
  ) {
    this.#logger = new BoundedLogger(`${entry.workspace}.${entry.workflow}`);
    this.#clock = events.clock;
    this.#workerJson = JSON.stringify(worker);
  }

  stop(): void {
    this.#stopping = true;
  }

  /** Settles a message. Undefined: nothing is left to do for it; else resolves when that is so, and never rejects. */
  settle(message: CommandMessage, run: PreparedRun, attempt: number, outcome: Outcome): Promise<void> | undefined {
    const settlement = settle(outcome, attempt, this.entry.options.retry, Math.random());
    // Where its history says that it waits, its end is recorded, whatever else is not.
    if (settlement.action === 'succeed' && (this.entry.options.record !== 'none' || this.handOver.wasRefused(message))) {
      const event = succeeded(attempt, message.sequence, this.#workerJson, settlement.json, run, isoTime(this.#clock.nowMs()));
      if (event.length <= this.events.maxBytes) return this.recordSuccess(message, run.runId, event);
      return this.carryOut(this.#unrecordable(event.length), message, run, attempt);
    }
    if (settlement.action !== 'ack' && settlement.action !== 'succeed') return this.carryOut(settlement, message, run, attempt);
    try {
      message.ack();
    } catch (error) {
      this.keep(message, error);
    }
    return undefined;
  }

  /** The effects are done, and another attempt would end the same way. */
  #unrecordable(bytes: number): Settlement & { action: 'dead' } {
    const details = { workflow: this.entry.workflow, bytes, limit: this.events.maxBytes };
    return { action: 'dead', reason: 'failed', error: new LoopstackError('RESULT_TOO_LARGE', details) };
  }

  private async carryOut(
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
        case 'expire':
          return await this.record(
            message,
            run.runId,
            this.event('expired', attempt - 1, message, { error: recordedError(settlement.error), ...originOf(run) }),
          );
        case 'retry':
          return await this.retry(message, run.runId, attempt, settlement.delayMs, settlement.error);
        case 'return':
          return await this.giveBack(message, run.runId, attempt);
        case 'dead':
          if (settlement.error.code === 'PAYLOAD_INVALID' && settlement.reason === 'invalid') {
            if (await this.leaveToOthers(message, run.runId, attempt, settlement.error)) return;
          }
          this.#logger.error(
            `Run ${run.runId} is dead after attempt ${attempt}: ${settlement.error.message}`,
            framesOf(settlement.error.cause),
          );
          return await this.deadLetter(message, run, attempt, recordedError(settlement.error));
      }
    } catch (error) {
      this.keep(message, error);
    }
  }

  /** Gives back a command that another release may take; the attempt does not count. False: there is none. */
  private async leaveToOthers(message: CommandMessage, runId: string, attempt: number, error: LoopstackError): Promise<boolean> {
    const given = await this.handOver.of(message, error);
    if (!given) return false;
    const { refusal, delayMs } = given;
    const facts = { deliveries: message.lastDelivery, refusal, error: recordedError(error) };
    if (await this.append(message, runId, this.event('queued', attempt - 1, message, facts))) message.nak(delayMs);
    return true;
  }

  /** Writes the dead letter of a run whose failure stands already, in case the process died between the two. */
  async repeatDeadLetter(message: CommandMessage, run: PreparedRun, failed: RunEvent): Promise<void> {
    try {
      await this.writeDeadLetter(message, run, failed.attempt, failed.error);
      message.ack();
    } catch (error) {
      this.keep(message, error);
    }
  }

  private async deadLetter(message: CommandMessage, run: PreparedRun, attempt: number, error: RecordedError): Promise<void> {
    // The fence first: a stale worker must not deadLetter a run that another one has done.
    const recorded = await this.append(message, run.runId, this.event('failed', attempt, message, { error, ...originOf(run) }));
    if (!recorded) return;
    await this.writeDeadLetter(message, run, attempt, error);
    message.ack();
  }

  private async writeDeadLetter(
    message: CommandMessage,
    run: PreparedRun,
    attempts: number,
    error: RecordedError | undefined,
  ): Promise<void> {
    const facts = factsOfRun(run, attempts, error, { stream: this.stream, time: this.#clock.isoNow() });
    const alarm = `dead-letter:${this.entry.workspace}.${this.entry.workflow}`;
    try {
      await this.deadLetters.write(this.entry, message, facts, redactedBody(this.entry.options.redactor, run));
      this.alarms.clear(alarm);
    } catch (cause) {
      this.alarms.raise(
        alarm,
        `dead letters of ${this.entry.workspace}.${this.entry.workflow} cannot be written: ${(cause as Error).message}`,
      );
      throw cause;
    }
  }

  /** The happy path of `record`: one append, and the acknowledgement when it is stored. What goes wrong takes the long way. */
  private recordSuccess(message: CommandMessage, runId: string, event: Uint8Array): Promise<void> {
    return this.events.store(this.entry, runId, message.eventSequence, event).then(
      (sequence) => {
        message.eventSequence = sequence;
        message.ack();
      },
      (cause: unknown) => this.record(message, runId, event, cause).catch((error: unknown) => this.keep(message, error)),
    );
  }

  private async record(message: CommandMessage, runId: string, event: RunEvent | Uint8Array, failed?: unknown): Promise<void> {
    if (await this.append(message, runId, event, failed)) message.ack();
  }

  private async retry(message: CommandMessage, runId: string, attempt: number, delayMs: number, error: LoopstackError): Promise<void> {
    this.#logger.warn(`Run ${runId}: attempt ${attempt} failed, the next one in ${delayMs} ms: ${error.message}`);
    const nextAtMs = monotonicMs() + delayMs;
    const nextAttemptAt = new Date(this.#clock.nowMs() + delayMs).toISOString();
    const recorded = await this.append(
      message,
      runId,
      this.event('retrying', attempt, message, { error: recordedError(error), nextAttemptAt }),
    );
    // Recording it took of the wait.
    if (recorded) message.nak(Math.max(0, nextAtMs - monotonicMs()));
  }

  /** Gives a command back in a shutdown; the attempt does not count. Recording that is an attempt only: the process ends. */
  async giveBack(message: CommandMessage, runId: string, attempt: number): Promise<void> {
    await this.events
      .append(this.entry, runId, message.eventSequence, this.event('queued', attempt - 1, message, { deliveries: message.lastDelivery }))
      .catch((error: Error) => this.#logger.debug(`Run ${runId} is given back without a record: ${error.message}`));
    message.nak(0);
  }

  /**
   * Appends to the run's history, trying again while the lease is held. `failed`: what the first try was rejected with.
   * @returns false if another worker was first; the message is answered or dropped then
   */
  async append(message: CommandMessage, runId: string, event: RunEvent | Uint8Array, failed?: unknown): Promise<boolean> {
    const bytes = event instanceof Uint8Array ? event : encodeRunEvent(event);
    for (let first = failed; ; first = undefined) {
      try {
        message.eventSequence = await (first === undefined
          ? this.events.appendBytes(this.entry, runId, message.eventSequence, bytes)
          : this.events.refused(this.entry, runId, message.eventSequence, bytes, first));
        return true;
      } catch (error) {
        if (error instanceof FencedError) {
          this.fenced(message, runId, error.last);
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
  private fenced(message: CommandMessage, runId: string, last: HistoryEnd | undefined): void {
    const stands = last?.event;
    if (stands && isOutcome(stands.type)) {
      this.#logger.warn(`Run ${runId}: the outcome ${stands.type} stands already; what this worker has to tell is refused`);
      // Its dead letter may be missing: seen to at the next delivery, if there is one.
      if (stands.type === 'failed') message.nak(WRITE_AGAIN_MS);
      else message.ack();
    } else {
      this.#logger.warn(`Run ${runId}: another worker has it; what this one has to tell is refused`);
      message.drop();
    }
  }

  /** What cannot be settled is kept: delivered again later, never lost. */
  private keep(message: CommandMessage, error: unknown): void {
    this.#logger.error(`The command at ${message.sequence} could not be settled and is kept: ${printable((error as Error).message)}`);
    message.nak(KEEP_MS);
  }

  event(type: RunEvent['type'], attempt: number, message: CommandMessage, more: Partial<RunEvent> = {}): RunEvent {
    const content = message.content === undefined ? {} : { content: message.content };
    return { type, at: this.#clock.isoNow(), attempt, sequence: message.sequence, worker: this.worker, ...content, ...more };
  }
}

/** The event of the happy path, written by hand: the result is JSON text already. Fields in the order of `event()`. */
function succeeded(
  attempt: number,
  sequence: number,
  workerJson: string,
  json: string | undefined,
  run: PreparedRun,
  at: string,
): Uint8Array {
  const { content } = run;
  const origin = JSON.stringify(content === undefined ? originOf(run) : { content, ...originOf(run) }).slice(1, -1);
  const result = json === undefined ? '' : `,"result":${json}`;
  const head = `{"type":"succeeded","at":"${at}","attempt":${attempt},"sequence":${sequence},"worker":${workerJson}`;
  return Buffer.from(`${head}${origin === '' ? '' : `,${origin}`}${result}}`);
}

let isoAtMs = 0;
let iso = '';

/** A time as ISO 8601; many outcomes share a millisecond. */
function isoTime(now: number): string {
  if (now !== isoAtMs) iso = new Date((isoAtMs = now)).toISOString();
  return iso;
}

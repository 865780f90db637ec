import {
  PullLoop,
  type ServerClock,
  type AckWriter,
  type PullOptions,
  type PullOwner,
  type NatsConnectionLike,
  type NatsMessage,
} from '@loopstack/jetstream';
import {
  framesOf,
  settleEvent,
  type EventOutcome,
  type EventSettlement,
  type StartFrom,
  factsOfEvent,
  type EventFeed,
} from '@loopstack/core';
import { LoopstackError, printable, monotonicMs } from '@loopstack/shared';
import { BoundedLogger } from '../upkeep/bounded-logger.js';
import { Owed } from './owed.js';
import type { DeadLetterWriter } from '../worker/dead-letter-writer.js';
import type { Alarms } from '../health/health.js';
import { SequenceTable } from '../worker/sequence-table.js';
import { EventMessage } from './event-message.js';

export interface EventFeedSupport {
  readonly pull: PullOptions;
  readonly answers: AckWriter;
  readonly alarms: Alarms;
  readonly deadLetters: DeadLetterWriter;
  readonly clock: ServerClock;
  /** Makes sure of the durable after it was lost; a new one begins where this process knows that the old one was. */
  restore(feed: EventFeed, resumeAt: StartFrom): Promise<boolean>;
}

/** A handler that has not settled by then has failed. */
const TIMEOUT_MS = 15 * 60_000;
/** Wait before an event is delivered again whose dead letter could not be written. */
const KEEP_MS = 5000;
/** For how long an event that was given up makes readiness red. */
const ABANDONED_MS = 5 * 60_000;

/** Consumes one durable of events in this process. */
export class EventConsumer implements PullOwner {
  readonly loop: PullLoop;
  readonly #logger: BoundedLogger;
  readonly #alarm: string;
  readonly #held = new SequenceTable<EventMessage>();
  readonly #owed = new Owed();
  #lastSequence = 0;
  #whenEmpty: (() => void) | undefined;
  #abandoned: NodeJS.Timeout | undefined;
  #stopping = false;
  /** Events behind the last one delivered, by the server's count. */
  pending = 0;
  /** Until when somebody has paused the durable. */
  pausedUntil: string | undefined;

  constructor(
    nc: NatsConnectionLike,
    readonly feed: EventFeed,
    private readonly support: EventFeedSupport,
    /** Where the durable was when this process found or made it. */
    private readonly startedAt: StartFrom,
  ) {
    this.#logger = new BoundedLogger(feed.title);
    this.#alarm = `events:${feed.consumer.durable}`;
    this.loop = new PullLoop(nc, feed.consumer, support.pull, this);
  }

  get title(): string {
    return this.feed.title;
  }

  get active(): number {
    return this.#held.size;
  }

  room(outstanding: number): number {
    return this.feed.concurrency - this.#held.size - outstanding;
  }

  message(msg: NatsMessage): void {
    const message = new EventMessage(this.support.answers, msg, this.feed.consumer.stream, monotonicMs());
    this.pending = message.pending;
    this.#lastSequence = Math.max(this.#lastSequence, message.sequence);
    const held = this.#held.get(message.sequence);
    if (held && !held.settled) {
      held.redelivered(message);
      return;
    }
    if (this.#stopping) {
      message.nak(0);
      return;
    }
    this.#owed.delivered(message.sequence);
    this.#held.put(message);
    void this.#work(message);
  }

  restore(reason: string): Promise<boolean> {
    this.#logger.warn(`The consumer is looked for: ${reason}`);
    this.#owed.forgetDelivered(monotonicMs());
    const { first } = this.#owed;
    const known = [
      ...Array.from(this.#held, ({ sequence }) => sequence),
      ...(first === undefined ? [] : [first]),
      ...(this.#lastSequence > 0 ? [this.#lastSequence + 1] : []),
    ];
    return this.support.restore(this.feed, known.length > 0 ? Math.min(...known) : this.startedAt);
  }

  /** Deliveries are not counted on: an event starts one run however often it comes. */
  doubt(): void {}

  /** Called ten times a second. */
  tick(nowMs: number, connected: boolean, late: boolean): void {
    const { leaseMs } = this.feed.consumer;
    for (const message of this.#held) {
      if (message.settled) continue;
      const ageMs = nowMs - message.leasedAtMs;
      if (nowMs - message.arrivedAtMs >= TIMEOUT_MS) this.#timedOut(message);
      else if (ageMs >= leaseMs) this.#release(message, () => message.drop());
      else if (connected && ageMs >= leaseMs / 2) message.extend(nowMs);
    }
    this.loop.check(nowMs, late);
  }

  /** Stops pulling, lets what is under way finish until `deadline`, and gives the rest back. */
  async stop(deadline: Promise<void>): Promise<void> {
    this.#stopping = true;
    await this.loop.stop();
    clearTimeout(this.#abandoned);
    if (this.#held.size > 0) await Promise.race([deadline, new Promise<void>((resolve) => (this.#whenEmpty = resolve))]);
    for (const message of this.#held) message.nak(0);
    this.#held.clear();
  }

  async #work(message: EventMessage): Promise<void> {
    let outcome: EventOutcome;
    try {
      outcome = await this.feed.handle(message);
    } catch (cause) {
      // A handler does not reject; if it does, nothing is known of the event, and it is kept.
      outcome = {
        kind: 'unavailable',
        error: new LoopstackError('HANDLER_FAILED', { workflow: this.feed.title, reason: String(cause) }, { cause }),
      };
    }
    this.#settle(message, outcome);
  }

  #timedOut(message: EventMessage): void {
    const error = new LoopstackError('HANDLER_TIMEOUT', { workflow: this.feed.title, timeoutMs: TIMEOUT_MS });
    this.#settle(message, { kind: 'failed', error });
  }

  #settle(message: EventMessage, outcome: EventOutcome): void {
    if (message.settled || message.settling) return;
    const settlement = settleEvent(this.#redacted(outcome), message.deliveries, this.feed.policy, Math.random());
    // Of nearly all events, and without a promise.
    if (settlement.action === 'ack') {
      this.support.alarms.clear(this.#alarm);
      this.#release(message, () => message.ack());
      return;
    }
    message.settling = true;
    this.#carryOut(message, outcome, settlement).catch((error: unknown) => {
      this.#logger.error(`The event at ${message.sequence} could not be settled and is kept: ${printable((error as Error).message)}`);
      this.#giveBack(message, KEEP_MS);
    });
  }

  #redacted(outcome: EventOutcome): EventOutcome {
    const { redactor } = this.feed;
    return redactor === undefined || outcome.kind === 'done' ? outcome : { ...outcome, error: redactor.error(outcome.error, undefined) };
  }

  async #carryOut(message: EventMessage, outcome: EventOutcome, settlement: Exclude<EventSettlement, { action: 'ack' }>): Promise<void> {
    const { alarms } = this.support;
    const alarm = this.#alarm;
    const at = `the event at ${message.sequence} of ${message.stream}`;
    switch (settlement.action) {
      case 'retry':
        this.#logger.warn(
          `${at}: delivery ${message.deliveries} failed, the next one in ${settlement.delayMs} ms: ${settlement.error.message}`,
        );
        if (outcome.kind === 'unavailable') alarms.raise(alarm, `${this.feed.title}: events wait: ${settlement.error.message}`);
        this.#giveBack(message, settlement.delayMs);
        return;
      case 'dead':
        this.#logger.error(`${at} is a dead letter: ${settlement.error.message}`, framesOf(settlement.error.cause));
        await this.#deadLetter(message, settlement.reason, settlement.error);
        this.#release(message, () => message.ack());
        return;
      case 'abandon':
        this.#logger.error(
          `${at} is given up after ${message.deliveries} deliveries: ${settlement.error.message}`,
          framesOf(settlement.error.cause),
        );
        alarms.raise(`abandoned:${alarm}`, `${this.feed.title}: ${at} was given up: ${settlement.error.message}`);
        clearTimeout(this.#abandoned);
        this.#abandoned = setTimeout(() => alarms.clear(`abandoned:${alarm}`), ABANDONED_MS).unref();
        this.#release(message, () => message.ack());
    }
  }

  async #deadLetter(message: EventMessage, reason: 'invalid' | 'failed', error: LoopstackError): Promise<void> {
    const { address, consumer, redactor } = this.feed;
    const facts = factsOfEvent(address, message, reason, error, { binding: consumer.durable, time: this.support.clock.isoNow() });
    // Paths are of the payload, and an event is not that yet: nothing of it is written.
    await this.support.deadLetters.write(address, message, facts, redactor?.masksBodies ? new Uint8Array() : undefined);
  }

  #giveBack(message: EventMessage, delayMs: number): void {
    const now = monotonicMs();
    this.#owed.add(message.sequence, now + delayMs + this.feed.consumer.leaseMs, now);
    this.#release(message, () => message.nak(delayMs));
  }

  #release(message: EventMessage, word: () => void): void {
    word();
    this.#held.delete(message);
    if (this.#held.size === 0) this.#whenEmpty?.();
    this.loop.pull();
  }
}

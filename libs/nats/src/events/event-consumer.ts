import {
  factsOfEvent,
  framesOf,
  settleEvent,
  type EventFeed,
  type EventOutcome,
  type EventSettlement,
  type StartFrom,
} from '@loopstack/core';
import type { NatsMessage, PullLoop } from '@loopstack/jetstream';
import { LoopstackError, monotonicMs, printable } from '@loopstack/shared';
import type { ConsumerGuard } from '../consume/consumer-guard.js';
import type { Consumer, ConsumerRuntime, Stoppable } from '../consume/consumer-runtime.js';
import { Pause } from '../consume/pause.js';
import { SequenceTable } from '../consume/sequence-table.js';
import { keepLeases } from '../leases/keep-leases.js';
import { BoundedLogger } from '../upkeep/bounded-logger.js';
import type { DeadLetterWriter } from '../worker/outcome/dead-letter-writer.js';
import { EventMessage } from './event-message.js';
import type { EventSources } from './event-sources.js';
import { Owed } from './owed.js';

export interface EventServices {
  readonly runtime: ConsumerRuntime;
  readonly guard: ConsumerGuard;
  readonly sources: EventSources;
  readonly deadLetters: DeadLetterWriter;
}

/** A handler that has not settled by then has failed. */
const TIMEOUT_MS = 15 * 60_000;
/** Wait before an event is delivered again whose dead letter could not be written. */
const KEEP_MS = 5000;
/** For how long an event that was given up makes readiness red. */
const ABANDONED_MS = 5 * 60_000;

/** Consumes one durable of events in this process. */
export class EventConsumer implements Consumer, Stoppable {
  readonly feed: EventFeed;
  readonly loop: PullLoop;
  readonly #services: EventServices;
  /** Where the durable was when this process found or made it. */
  readonly #startedAt: StartFrom;
  readonly #logger: BoundedLogger;
  readonly #alarm: string;
  readonly #held = new SequenceTable<EventMessage>();
  readonly #owed = new Owed();
  readonly #pause: Pause;
  #pending = 0;
  #lastSequence = 0;
  #whenEmpty: (() => void) | undefined;
  #stopping = false;

  constructor(feed: EventFeed, startedAt: StartFrom, services: EventServices) {
    this.feed = feed;
    this.#startedAt = startedAt;
    this.#services = services;
    this.#logger = new BoundedLogger(feed.title);
    this.#alarm = `events:${feed.consumer.durable}`;
    this.#pause = new Pause(feed.consumer);
    this.loop = services.runtime.pullLoop(feed.consumer, this);
  }

  get title(): string {
    return this.feed.title;
  }

  get active(): number {
    return this.#held.size;
  }

  /** Events behind the last one delivered, by the server's count. */
  get pending(): number {
    return this.#pending;
  }

  /** Until when an operator has paused the durable. */
  get pausedUntil(): string | undefined {
    return this.#pause.until;
  }

  applyPause(until: string | undefined): void {
    this.#pause.apply(until);
  }

  room(outstanding: number): number {
    return this.feed.concurrency - this.#held.size - outstanding;
  }

  message(msg: NatsMessage): void {
    const message = new EventMessage(this.#services.runtime.acks, msg, this.feed.consumer.stream, monotonicMs());
    this.#pending = message.pending;
    this.#lastSequence = Math.max(this.#lastSequence, message.sequence);
    const held = this.#held.get(message.sequence);
    if (held && !held.settled) {
      held.takeOver(message);
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

  /** A new durable begins where this process knows that the old one was. */
  restore(reason: string): Promise<boolean> {
    this.#owed.forgetDelivered(monotonicMs());
    const { first } = this.#owed;
    const known = [
      ...Array.from(this.#held, ({ sequence }) => sequence),
      ...(first === undefined ? [] : [first]),
      ...(this.#lastSequence > 0 ? [this.#lastSequence + 1] : []),
    ];
    const resumeAt = known.length > 0 ? Math.min(...known) : this.#startedAt;
    const { guard, sources } = this.#services;
    const { title, consumer } = this.feed;
    return guard.restore({ title, target: consumer, reason, ensure: () => sources.ensure(consumer, resumeAt) });
  }

  /** Deliveries are not counted on: an event starts one run however often it comes. */
  uncertain(): void {}

  tick(nowMs: number, connected: boolean): void {
    for (const message of this.#held) if (!message.settled && nowMs - message.arrivedAtMs >= TIMEOUT_MS) this.#timedOut(message);
    keepLeases(this.#held, this.feed.consumer.leaseMs, nowMs, connected, (message) => this.#release(message, () => message.drop()));
  }

  /** Stops pulling, lets what is under way finish until `deadline`, and gives the rest back. */
  async stop(deadline: Promise<void>): Promise<void> {
    this.#stopping = true;
    await this.loop.stop();
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
      this.#services.runtime.alarms.clear(this.#alarm);
      this.#release(message, () => message.ack());
      return;
    }
    message.settles();
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
    const { alarms } = this.#services.runtime;
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
        alarms.tell(`abandoned:${alarm}`, ABANDONED_MS, `${this.feed.title}: ${at} was given up: ${settlement.error.message}`);
        this.#release(message, () => message.ack());
    }
  }

  async #deadLetter(message: EventMessage, reason: 'invalid' | 'failed', error: LoopstackError): Promise<void> {
    const { address, consumer, redactor } = this.feed;
    const facts = factsOfEvent(address, message, reason, error, {
      binding: consumer.durable,
      time: this.#services.runtime.api.clock.isoNow(),
    });
    // Paths are of the payload, and an event is not that yet: nothing of it is written.
    await this.#services.deadLetters.write(address, message, facts, redactor?.masksBodies ? new Uint8Array() : undefined);
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

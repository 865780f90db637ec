import {
  DONE,
  bindingFeed,
  chainFeed,
  factsOfEvent,
  feedOf,
  framesOf,
  notStarted,
  reactionFeed,
  reasonOf,
  runNotice,
  runOfEvent,
  settleEvent,
  type EventFeed,
  type EventOutcome,
  type EventUse,
  type Reaction,
  type RunStarter,
  type StartFrom,
  type StoredEvent,
  type SubscriptionSpec,
  type Subscriptions,
} from '@loopstack/core';
import { LoopstackError, deadLetterHeaders, decodeRunEvent, filterCovers, type Headers, type RunAddress } from '@loopstack/shared';
import { Logger } from '@nestjs/common';
import type { MemoryBroker } from './memory-broker.js';
import type { MemoryMessage, MemoryStream } from './memory-stream.js';

const NO_JITTER = 0.5;

/** Stores the commands of events. */
class MemoryStarter implements RunStarter {
  constructor(
    private readonly broker: MemoryBroker,
    private readonly maxCauseDepth: number,
  ) {}

  start(target: RunAddress, event: StoredEvent, use: EventUse, headers: Headers): Promise<EventOutcome> {
    if (use.kind === 'skip') return Promise.resolve(DONE);
    if (use.kind === 'invalid') return Promise.resolve(use);
    const { broker } = this;
    try {
      const subject = broker.options.names.run(target);
      const { headers: all } = runOfEvent(target, event, headers, this.maxCauseDepth);
      broker.publish(broker.runs, subject, use.command, broker.signed(subject, use.command, all));
      return Promise.resolve(DONE);
    } catch (error) {
      if (!(error instanceof LoopstackError)) throw error;
      return Promise.resolve(notStarted(error));
    }
  }
}

function isWanted({ sequence, timeMs }: MemoryMessage, from: StartFrom): boolean {
  if (from instanceof Date) return timeMs >= from.getTime();
  return typeof from === 'number' ? sequence >= from : from === 'all';
}

/** One binding, chain or method: its events in order, as many at a time as it may have. */
class MemoryFeed {
  readonly #logger: Logger;
  readonly #waiting: { readonly event: StoredEvent; readonly leave: () => void }[] = [];
  #active = 0;

  constructor(
    private readonly broker: MemoryBroker,
    readonly feed: EventFeed,
  ) {
    this.#logger = new Logger(feed.title);
  }

  offer(message: Omit<StoredEvent, 'stream' | 'deliveries'>, deliveries = 1): void {
    const { consumer, title } = this.feed;
    if (!filterCovers(consumer.subject, message.subject)) return;
    const { subject, sequence, timeMs, data, headers } = message;
    const event = { stream: consumer.stream, subject, sequence, timeMs, data, headers, deliveries };
    this.#waiting.push({ event, leave: this.broker.activity.begin(`an event of ${title}`) });
    void Promise.resolve().then(() => this.#pump());
  }

  stop(): void {
    for (const { leave } of this.#waiting.splice(0)) leave();
  }

  #pump(): void {
    while (this.#active < this.feed.concurrency) {
      const next = this.#waiting.shift();
      if (!next) return;
      this.#active++;
      void this.#work(next.event).finally(() => {
        this.#active--;
        next.leave();
        this.#pump();
      });
    }
  }

  async #work(event: StoredEvent): Promise<void> {
    const { feed } = this;
    let outcome: EventOutcome;
    try {
      outcome = await feed.handle(event);
    } catch (cause) {
      outcome = {
        kind: 'unavailable',
        error: new LoopstackError('HANDLER_FAILED', { workflow: feed.title, reason: reasonOf(cause) }, { cause }),
      };
    }
    const { redactor } = feed;
    const told =
      redactor === undefined || outcome.kind === 'done' ? outcome : { ...outcome, error: redactor.error(outcome.error, undefined) };
    const settlement = settleEvent(told, event.deliveries, feed.policy, NO_JITTER);
    const at = `the event at ${event.sequence} of ${event.stream}`;
    switch (settlement.action) {
      case 'ack':
        return;
      case 'retry':
        this.#logger.debug(`${at}: the next delivery in ${settlement.delayMs} ms: ${settlement.error.message}`);
        this.broker.clock.after(settlement.delayMs, () => this.offer(event, event.deliveries + 1));
        return;
      case 'dead':
        this.#logger.warn(`${at} is a dead letter: ${settlement.error.message}`);
        return this.#deadLetter(event, settlement.reason, settlement.error);
      case 'abandon':
        this.#logger.error(`${at} is given up: ${settlement.error.message}`, framesOf(settlement.error.cause));
    }
  }

  #deadLetter(event: StoredEvent, reason: 'invalid' | 'failed', error: LoopstackError): void {
    const { address, consumer, redactor } = this.feed;
    const { dead, clock, options } = this.broker;
    const facts = factsOfEvent(address, event, reason, error, { binding: consumer.durable, time: clock.isoNow() });
    const isHidden = redactor?.masksBodies === true;
    const headers = deadLetterHeaders(facts, event.headers, isHidden ? 'redacted' : 'full');
    dead.append(options.names.dead(address), isHidden ? new Uint8Array() : event.data, headers);
  }
}

/** Gives events to what listens to them: bindings, chains, and methods with `@OnRun`. */
export class MemoryEvents {
  readonly #feeds: MemoryFeed[] = [];

  constructor(private readonly broker: MemoryBroker) {}

  /** @throws LoopstackError BOOT_FAILED */
  start(subscriptions: Subscriptions): void {
    const { names } = this.broker.options;
    const { maxDepth, maxCauseDepth, service } = subscriptions;
    const starter = new MemoryStarter(this.broker, maxCauseDepth);
    const reactions = subscriptions.reactions();
    const specs: SubscriptionSpec[] = [
      ...subscriptions.bindings().map((binding) => bindingFeed(names, starter, maxDepth, binding)),
      ...subscriptions.chains().map((chain) => chainFeed(names, starter, maxDepth, chain)),
      ...reactions.filter(({ delivery }) => delivery === 'durable').map((reaction) => reactionFeed(names, service as string, reaction)),
    ];
    const problems: string[] = [];
    for (const spec of specs) {
      try {
        this.#consume(spec, subscriptions);
      } catch (error) {
        problems.push((error as Error).message);
      }
    }
    if (problems.length > 0) throw new LoopstackError('BOOT_FAILED', { problems: problems.join('; ') });
    for (const reaction of reactions) if (reaction.delivery === 'live') this.#listen(reaction, subscriptions);
  }

  stop(): void {
    for (const feed of this.#feeds) feed.stop();
  }

  /** What consumes a binding, by the name of its durable. */
  find(durable: string): EventFeed | undefined {
    return this.#feeds.find(({ feed }) => feed.consumer.durable === durable)?.feed;
  }

  #consume(spec: SubscriptionSpec, { redactor }: Subscriptions): void {
    const stream = this.#streamOf(spec);
    const feed = new MemoryFeed(this.broker, feedOf(this.broker.options.names, spec, spec.stream ?? stream.name, redactor));
    this.#feeds.push(feed);
    for (const message of stream.messages) if (isWanted(message, spec.consumer.from)) feed.offer(message);
    stream.onMessage((message) => feed.offer(message));
  }

  /** A stream of an application, whatever its name, is the one to which the test publishes. */
  #streamOf({ consumer, stream }: SubscriptionSpec): MemoryStream {
    const { runs, events, dead, inbound, options } = this.broker;
    const { captures, streams } = options.names;
    const captured = (subjects: readonly string[]): boolean => subjects.some((wide) => filterCovers(wide, consumer.subject));
    if (stream === streams.events || captured(captures.events)) return events;
    if (stream === streams.dead || captured(captures.dead)) return dead;
    return stream === streams.runs || captured(captures.runs) ? runs : inbound;
  }

  #listen({ name, workspace, workflow, types, call }: Reaction, { redactor }: Subscriptions): void {
    const { names } = this.broker.options;
    const logger = new Logger(`@OnRun ${name} (live)`);
    const filter = names.event({ workspace, workflow }, '*');
    this.broker.events.onMessage(({ subject, data }) => {
      const address = filterCovers(filter, subject) ? names.parseEvent(subject) : undefined;
      const event = address && decodeRunEvent(data);
      if (!address || !event || !types.has(event.type)) return;
      const leave = this.broker.activity.begin(`an event of ${name}`);
      void Promise.resolve()
        .then(() => call(runNotice(address, address.runId, event)))
        .catch((cause: unknown) => {
          const error = new LoopstackError('HANDLER_FAILED', { workflow: name, reason: reasonOf(cause) }, { cause });
          const { message } = redactor?.error(error, undefined, { ...address, runId: address.runId }) ?? error;
          logger.error(`${event.type} of run ${address.runId}: ${message}`, framesOf(cause));
        })
        .finally(leave);
    });
  }
}

import { feedOf, type Subscriptions, type SubscriptionSpec } from '@loopstack/core';
import { isUnavailable } from '@loopstack/jetstream';
import { LoopstackError } from '@loopstack/shared';
import { retryUntilLeader } from '../topology/retry-until-leader.js';
import { EventConsumer, type EventServices } from './event-consumer.js';
import { positionOf } from './event-sources.js';

/** Makes consumers of events: their durables on the server, and what takes events from them here. */
export class EventConsumerFactory {
  readonly #services: EventServices;
  readonly #subscriptions: Subscriptions;

  constructor(services: EventServices, subscriptions: Subscriptions) {
    this.#services = services;
    this.#subscriptions = subscriptions;
  }

  /**
   * Nothing is pulled yet.
   * @param starting false: the application is closed while it starts
   * @throws LoopstackError BOOT_FAILED, with all that is wrong
   */
  async create(specs: readonly SubscriptionSpec[], starting: () => boolean): Promise<readonly EventConsumer[]> {
    const problems: string[] = [];
    const consumers: EventConsumer[] = [];
    for (const spec of specs) {
      try {
        consumers.push(await retryUntilLeader(() => this.#consumerOf(spec), starting));
      } catch (error) {
        const { message, fix } = error as { message: string; fix?: string };
        problems.push(fix === undefined ? `${spec.title}: ${message}` : `${message}. ${fix}`);
        // What JetStream does not answer for one it does not for the next: each would be waited for as long.
        if (isUnavailable(error) || !starting()) break;
      }
    }
    if (problems.length > 0) throw new LoopstackError('BOOT_FAILED', { problems: problems.join('; ') });
    return consumers;
  }

  async #consumerOf(spec: SubscriptionSpec): Promise<EventConsumer> {
    const { sources, runtime } = this.#services;
    const stream = await sources.streamOf(spec.title, spec.consumer.subject, spec.stream);
    const feed = feedOf(runtime.options.names, spec, stream, this.#subscriptions.redactor);
    const startedAt = positionOf(await sources.ensure(feed.consumer), feed.consumer.from);
    return new EventConsumer(feed, startedAt, this.#services);
  }
}

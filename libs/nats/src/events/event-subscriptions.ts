import { bindingFeed, chainFeed, reactionFeed, type Reaction, type Subscriptions, type SubscriptionSpec } from '@loopstack/core';
import type { NatsSubscription, Publisher } from '@loopstack/jetstream';
import type { Bindings } from '@loopstack/operations';
import type { DurableKind } from '@loopstack/shared';
import { Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import type { MessageHandler } from '@nestjs/microservices';
import type { ConsumerGuard } from '../consume/consumer-guard.js';
import type { ConsumerRuntime } from '../consume/consumer-runtime.js';
import { retryUntilLeader } from '../topology/retry-until-leader.js';
import { DeadLetterWriter } from '../worker/outcome/dead-letter-writer.js';
import { BindingWatch } from './binding-watch.js';
import { EventConsumerFactory } from './event-consumer-factory.js';
import type { EventConsumer, EventServices } from './event-consumer.js';
import { handlerFeeds, type AroundHandler } from './event-handlers.js';
import { EventSources } from './event-sources.js';
import { LiveReaction } from './live-reaction.js';
import { serveRedrives } from './redrive.js';
import { CommandStarter } from './run-starter.js';

/** The state of a feed; health reads it. */
export interface FeedState {
  readonly title: string;
  readonly active: number;
  readonly pending: number;
  /** The consumer answers. */
  readonly consuming: boolean;
  /** Until when an operator has paused it. */
  readonly pausedUntil: string | undefined;
}

/**
 * Consumes the events that this process listens to: bindings, chains and handlers of Nest from when it works, methods
 * with `@OnRun` from when the application has started, also in a process that is no worker.
 */
export class EventSubscriptions implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger(EventSubscriptions.name);
  readonly #runtime: ConsumerRuntime;
  readonly #services: EventServices;
  readonly #subscriptions: Subscriptions;
  readonly #factory: EventConsumerFactory;
  readonly #starter: CommandStarter;
  readonly #watch: BindingWatch;
  readonly #consumers: EventConsumer[] = [];
  readonly #live: LiveReaction[] = [];
  readonly #redrives: NatsSubscription[] = [];
  #stopped: Promise<void> | undefined;

  constructor(runtime: ConsumerRuntime, guard: ConsumerGuard, publisher: Publisher, subscriptions: Subscriptions, bindings: Bindings) {
    const { nc, api, options } = runtime;
    const deadLetters = new DeadLetterWriter(nc, publisher, options.names, () => void guard.repairStreams());
    this.#runtime = runtime;
    this.#services = { runtime, guard, deadLetters, sources: new EventSources(api, options) };
    this.#subscriptions = subscriptions;
    this.#factory = new EventConsumerFactory(this.#services, subscriptions);
    this.#starter = new CommandStarter(publisher, options.names, options.sign, api, subscriptions.maxCauseDepth);
    this.#watch = new BindingWatch(bindings, subscriptions);
  }

  /** @throws LoopstackError BOOT_FAILED */
  async onApplicationBootstrap(): Promise<void> {
    try {
      await this.#startReactions();
    } catch (error) {
      const { nc, options } = this.#runtime;
      // The caller that makes an application context gets nothing that it could close.
      if (!options.connection) await nc.close();
      throw error;
    }
  }

  async #startReactions(): Promise<void> {
    const { names, roles, serves } = this.#runtime.options;
    if (!roles.has('worker')) return;
    const reactions = this.#subscriptions.reactions().filter(({ workspace }) => workspace === '*' || serves(workspace));
    const durable = reactions.filter(({ delivery }) => delivery === 'durable');
    const start = await this.#prepare(durable.map((reaction) => reactionFeed(names, this.#subscriptions.service as string, reaction)));
    start();
    for (const reaction of reactions) if (reaction.delivery === 'live') await this.#startLive(reaction);
    if (this.#subscriptions.service !== undefined) this.#watchBindings('run');
  }

  /**
   * Bindings and chains of the workflows of this process, and Nest's event handlers.
   * @returns what begins to pull
   * @throws LoopstackError BOOT_FAILED
   */
  async prepareWorker(handlers: ReadonlyMap<string, MessageHandler>, around: AroundHandler): Promise<() => void> {
    const { names, serves } = this.#runtime.options;
    const { maxDepth, service } = this.#subscriptions;
    const bindings = this.#subscriptions.bindings().filter(({ entry }) => serves(entry.workspace));
    const chains = this.#subscriptions.chains().filter(({ upstream }) => serves(upstream.workspace));
    const start = await this.#prepare([
      ...bindings.map((binding) => bindingFeed(names, this.#starter, maxDepth, binding)),
      ...chains.map((chain) => chainFeed(names, this.#starter, maxDepth, chain)),
      ...handlerFeeds(handlers, { names, service, maxDepth, around }),
    ]);
    return () => {
      start();
      this.#watchBindings('on', 'then', 'event');
    };
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.stop();
  }

  state(): { readonly feeds: readonly FeedState[]; readonly unused: readonly string[] } {
    const feeds = [...this.#consumers, ...this.#live].map((consumer) => {
      const { title, active, pending, pausedUntil } = consumer;
      return { title, active, pending, pausedUntil, consuming: this.#runtime.answers(consumer) };
    });
    return { feeds, unused: this.#watch.unused };
  }

  /** Stops pulling and lets what is under way finish within the grace period. */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#stop());
  }

  async #stop(): Promise<void> {
    this.#watch.stop();
    for (const subscription of this.#redrives) if (!this.#runtime.nc.isClosed()) subscription.unsubscribe();
    const consumers = [...this.#consumers, ...this.#live];
    await this.#runtime.stop(consumers, consumers);
  }

  /** Makes the durables of all, or tells what is wrong with each; nothing is pulled before the returned function is called. */
  async #prepare(specs: readonly SubscriptionSpec[]): Promise<() => void> {
    const consumers = await this.#factory.create(specs, () => this.#stopped === undefined);
    return () => {
      if (this.#stopped) return;
      this.#consumers.push(...consumers);
      for (const { feed } of consumers) {
        if (feed.policy.afterwards === 'dead') this.#redrives.push(serveRedrives(this.#runtime, feed));
        this.#logger.log(`${feed.title} (stream ${feed.consumer.stream})`);
      }
      this.#runtime.start(consumers);
    };
  }

  async #startLive(reaction: Reaction): Promise<void> {
    if (this.#stopped) return;
    const live = new LiveReaction(reaction, this.#subscriptions.redactor, this.#services);
    await retryUntilLeader(
      () => live.create(),
      () => this.#stopped === undefined,
    );
    // Stopped meanwhile, without knowing of it.
    if (this.#stopped) return live.stop(Promise.resolve());
    this.#live.push(live);
    this.#runtime.start([live]);
  }

  #watchBindings(...kinds: DurableKind[]): void {
    // A user who may not make streams may not list them either.
    if (this.#runtime.options.provision && !this.#stopped) this.#watch.start(this.#consumers, kinds);
  }
}

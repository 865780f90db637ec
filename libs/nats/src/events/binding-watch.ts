import type { Subscriptions } from '@loopstack/core';
import type { BindingInfo, Bindings } from '@loopstack/operations';
import type { DurableKind } from '@loopstack/shared';
import { Logger } from '@nestjs/common';
import type { EventConsumer } from './event-consumer.js';

/** Between looks at the bindings of the server. */
const LOOK_MS = 60_000;

/** Looks now and then at the bindings on the server: which of those that this process consumes are paused, and which nothing declares any more. */
export class BindingWatch {
  readonly #logger = new Logger('EventSubscriptions');
  readonly #bindings: Bindings;
  readonly #subscriptions: Subscriptions;
  /** Of bindings that this process would declare if any did. */
  readonly #kinds = new Set<DurableKind>();
  #timer: NodeJS.Timeout | undefined;
  #unused: readonly string[] = [];

  constructor(bindings: Bindings, subscriptions: Subscriptions) {
    this.#bindings = bindings;
    this.#subscriptions = subscriptions;
  }

  /** Bindings on the server that this process would know of, and that nothing declares. */
  get unused(): readonly string[] {
    return this.#unused;
  }

  /** Begins anew, with `kinds` beside those named before: a worker beside an HTTP server starts before the application does. */
  start(consumers: readonly EventConsumer[], kinds: readonly DurableKind[]): void {
    clearInterval(this.#timer);
    for (const kind of kinds) this.#kinds.add(kind);
    const look = async (): Promise<void> => {
      try {
        const found = await this.#bindings.list();
        this.#applyPauses(consumers, found);
        this.#reportUnused(consumers, found);
      } catch (error) {
        this.#logger.debug(`Bindings could not be looked at: ${(error as Error).message}`);
      }
    };
    void look();
    this.#timer = setInterval(() => void look(), LOOK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #applyPauses(consumers: readonly EventConsumer[], found: readonly BindingInfo[]): void {
    for (const consumer of consumers) {
      const target = consumer.feed.consumer;
      consumer.applyPause(found.find(({ durable, stream }) => durable === target.durable && stream === target.stream)?.pausedUntil);
    }
  }

  /** Of its workflows and its service, that is; one that is still consumed is declared by an older replica. */
  #reportUnused(consumers: readonly EventConsumer[], found: readonly BindingInfo[]): void {
    const declared = new Set(consumers.map(({ feed }) => `${feed.consumer.stream} ${feed.consumer.durable}`));
    const unused = found.filter(({ stream, durable, kind, consumed, workspace = '', workflow = '', service }) => {
      if (declared.has(`${stream} ${durable}`) || consumed || !this.#kinds.has(kind)) return false;
      return service === undefined ? this.#subscriptions.has(workspace, workflow) : service === this.#subscriptions.service;
    });
    for (const { durable, stream, pending } of unused) {
      if (this.#unused.includes(durable)) continue;
      const remedy = `loopstack bindings remove '${durable}' --stream '${stream}' ends it`;
      this.#logger.warn(`Nothing declares the binding ${durable} any more; ${pending} events of ${stream} wait for it. ${remedy}`);
    }
    this.#unused = unused.map(({ durable }) => durable);
  }
}

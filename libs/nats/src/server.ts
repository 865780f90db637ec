import { Workers } from '@loopstack/core';
import { LoopstackError } from '@loopstack/shared';
import { Inject, Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import { Server } from '@nestjs/microservices';
import { Events, type NatsConnection } from 'nats';
import { CatalogueWriter } from './topology/catalogue-writer.js';
import { NATS_CONNECTION } from './connection.js';
import type { AroundHandler } from './events/event-handlers.js';
import { DeclaredSchedules } from './topology/declared-schedules.js';
import { EventSubscriptions } from './events/event-subscriptions.js';
import { retryUntilLeader } from './topology/retry-until-leader.js';
import { JetStreamApi } from '@loopstack/jetstream';
import type { ResolvedNatsOptions } from './options.js';
import { assertSignatureWindows } from './topology/signature-windows.js';
import { NATS_OPTIONS } from './tokens.js';
import { Worker } from './worker/worker.js';

export type JetStreamServerStatus = 'connected' | 'disconnected' | 'closed';
/** Events of the strategy, beside its `status`. */
export interface JetStreamServerEvents extends Record<string, (...args: never[]) => void> {
  error: (error: Error) => void;
  reconnect: () => void;
  disconnect: () => void;
}

/** The transport strategy: `app.connectMicroservice({ strategy: app.get(JetStreamServer) })`. */
@Injectable()
export class JetStreamServer extends Server<JetStreamServerEvents, JetStreamServerStatus> implements BeforeApplicationShutdown {
  /** What a handler throws decides about its event, and is logged here. */
  override propagatesEventHandlerErrors = true;
  override transportId = Symbol('loopstack-jetstream');
  #closed = false;
  readonly #listeners = new Map<string, ((...args: never[]) => void)[]>();

  constructor(
    @Inject(NATS_CONNECTION) private readonly nc: NatsConnection,
    private readonly worker: Worker,
    private readonly workers: Workers,
    private readonly fanOut: EventSubscriptions,
    private readonly catalogue: CatalogueWriter,
    private readonly schedules: DeclaredSchedules,
    private readonly api: JetStreamApi,
    @Inject(NATS_OPTIONS) private readonly options: ResolvedNatsOptions,
  ) {
    super();
  }

  async listen(callback: (error?: unknown) => void): Promise<void> {
    try {
      const runners = this.workers.runners();
      const workflows = runners.map(({ entry }) => entry);
      // What can stop the boot comes first: nothing is started, by command, schedule or event, by an application that does not start.
      await this.workers.checkSchedules();
      await retryUntilLeader(
        () => assertSignatureWindows(this.api, this.options, runners),
        () => !this.#closed,
      );
      const startEvents = await this.fanOut.prepareWorker(this.messageHandlers, this.#around);
      this.#goOn();
      await retryUntilLeader(
        () => this.schedules.declare(workflows),
        () => !this.#closed,
      );
      // Whoever sends what this release is the first to accept comes after it. Not behind the first run, which may end the process.
      await this.catalogue.start(runners);
      this.#goOn();
      await this.worker.start(runners, (workspace) => this.workers.trustOf(workspace));
      this.#goOn();
      startEvents();
      void this.schedules.tidy(workflows);
      void this.#watch();
      this.#say('connected');
      callback();
    } catch (error) {
      callback(error);
    }
  }

  /** Nest has a status of transports since 11. */
  #say(status: JetStreamServerStatus): void {
    (this._status$ as typeof this._status$ | undefined)?.next(status);
  }

  /** What is closed while it starts has stopped already, and nobody would stop what it starts yet. */
  #goOn(): void {
    if (this.#closed) throw new LoopstackError('BOOT_FAILED', { problems: 'the application was closed while it started' });
  }

  /** Nest's hooks for tracing, around a call of an event handler; Nest has them since 12.1. */
  readonly #around: AroundHandler = (context, work) =>
    new Promise((resolve, reject) => {
      const isHooked = typeof (this.runWithProcessingHooks as unknown) === 'function';
      if (isHooked) this.runWithProcessingHooks(context, (end) => work().then(resolve, reject).finally(end));
      else work().then(resolve, reject);
    });

  async close(): Promise<void> {
    this.#closed = true;
    this.catalogue.stop();
    await Promise.all([this.fanOut.stop(), this.worker.stop()]);
    this.#say('closed');
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.close();
  }

  on<Event extends keyof JetStreamServerEvents>(event: Event, callback: JetStreamServerEvents[Event]): void {
    const name = String(event);
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), callback]);
  }

  /** The NATS connection. */
  unwrap<T = NatsConnection>(): T {
    return this.nc as T;
  }

  async #watch(): Promise<void> {
    for await (const status of this.nc.status()) {
      const { type, data } = status;
      if (type === Events.Reconnect) {
        this.#say('connected');
        this.worker.reconnected();
      } else if (type === Events.Disconnect) {
        this.#say('disconnected');
        this.worker.disconnected();
      }
      const argument = type === Events.Error ? [new Error(JSON.stringify(data))] : [];
      for (const listener of this.#listeners.get(type) ?? []) (listener as (...args: unknown[]) => void)(...argument);
    }
  }
}

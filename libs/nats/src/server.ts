import { Workers, type WorkflowRunner } from '@loopstack/core';
import { LoopstackError } from '@loopstack/shared';
import { Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { Server } from '@nestjs/microservices';
import type { ConsumerRuntime } from './consume/consumer-runtime.js';
import type { CatalogueWriter } from './topology/catalogue-writer.js';
import type { AroundHandler } from './events/event-handlers.js';
import type { DeclaredSchedules } from './topology/declared-schedules.js';
import type { EventSubscriptions } from './events/event-subscriptions.js';
import { retryUntilLeader } from './topology/retry-until-leader.js';
import type { NatsConnection } from 'nats';
import { followConnection } from '@loopstack/jetstream';
import { assertSignatureWindows } from './topology/signature-windows.js';
import type { Worker } from './worker/worker.js';

export type JetStreamServerStatus = 'connected' | 'disconnected' | 'closed';
/** Events of the strategy, beside its `status`. */
export interface JetStreamServerEvents extends Record<string, (...args: never[]) => void> {
  error: (error: Error) => void;
  reconnect: () => void;
  disconnect: () => void;
}

/** What the transport starts and stops. */
export interface ServerParts {
  readonly runtime: ConsumerRuntime;
  readonly worker: Worker;
  readonly workers: Workers;
  readonly subscriptions: EventSubscriptions;
  readonly catalogue: CatalogueWriter;
  readonly schedules: DeclaredSchedules;
}

/** After the start of an application that registers workflows and consumes nothing. */
const FORGOTTEN_MS = 5000;

const bootFailed = (problems: string): LoopstackError => new LoopstackError('BOOT_FAILED', { problems });

/** The transport strategy: `app.connectMicroservice({ strategy: app.get(JetStreamServer) })`. */
export class JetStreamServer
  extends Server<JetStreamServerEvents, JetStreamServerStatus>
  implements BeforeApplicationShutdown, OnApplicationBootstrap
{
  readonly #parts: ServerParts;
  /** What a handler throws decides about its event, and is logged here. */
  override propagatesEventHandlerErrors = true;
  override transportId = Symbol('loopstack-jetstream');
  #closed = false;
  #unfollow = (): void => {};
  #listening = false;
  #started: Promise<void> | undefined;
  #forgotten: NodeJS.Timeout | undefined;
  readonly #listeners = new Map<string, ((...args: never[]) => void)[]>();

  constructor(parts: ServerParts) {
    super();
    this.#parts = parts;
  }

  async listen(callback: (error?: unknown) => void): Promise<void> {
    this.#listening = true;
    const { roles, autoStart } = this.#parts.runtime.options;
    try {
      if (roles.has('worker') && autoStart) await this.start();
      this.#watch();
      this.#setStatus('connected');
      callback();
    } catch (error) {
      callback(error);
    }
  }

  /**
   * Consumes the workflows of this process and what starts them, until `stop()`. The transport does it when it listens, unless
   * `autoStart` is false. Once it has resolved, a second call does nothing.
   * @throws LoopstackError BOOT_FAILED, TOPOLOGY_CONFLICT, TOPOLOGY_MISSING
   */
  async start(): Promise<void> {
    if (this.#closed) throw bootFailed('the worker was stopped, or the application closed: it does not start again in this process');
    await (this.#started ??= this.#start());
  }

  async #start(): Promise<void> {
    if (!this.#parts.runtime.options.roles.has('worker')) throw bootFailed('this process has no role `worker`');
    const runners = this.#runners();
    const workflows = runners.map(({ entry }) => entry);
    // What can stop the boot comes first: nothing is started, by command, schedule or event, by an application that does not start.
    await this.#parts.workers.checkSchedules();
    await retryUntilLeader(
      () => assertSignatureWindows(this.#parts.runtime.api, this.#parts.runtime.options, runners),
      () => !this.#closed,
    );
    const startEvents = await this.#parts.subscriptions.prepareWorker(this.messageHandlers, this.#around);
    this.#assertOpen();
    await retryUntilLeader(
      () => this.#parts.schedules.declare(workflows),
      () => !this.#closed,
    );
    // Producers send what this release is the first to accept after it. Not behind the first run, which may end the process.
    await this.#parts.catalogue.start(runners);
    this.#assertOpen();
    await this.#parts.worker.start(runners, (workspace) => this.#parts.workers.trustOf(workspace));
    this.#assertOpen();
    startEvents();
    void this.#parts.schedules.tidy(workflows);
  }

  /** The workflows that this process serves over its connection. @throws LoopstackError BOOT_FAILED */
  #runners(): readonly WorkflowRunner[] {
    const { workspaces = [], serves } = this.#parts.runtime.options;
    const all = this.#parts.workers.runners();
    const unknown = workspaces.filter((workspace) => !all.some(({ entry }) => entry.workspace === workspace));
    if (unknown.length > 0) throw bootFailed(`the option workspaces names ${unknown.join(', ')}, which this process does not register`);
    return all.filter(({ entry }) => serves(entry.workspace));
  }

  /** Workflows that nothing consumes are a mistake that would show itself as a RESULT_TIMEOUT only. */
  onApplicationBootstrap(): void {
    const { roles, autoStart, name } = this.#parts.runtime.options;
    if (!roles.has('worker') || !autoStart) return;
    this.#forgotten = setTimeout(() => {
      const count = this.#parts.workers.runners().length;
      if (this.#listening || this.#started || count === 0) return;
      const server = name === undefined ? 'JetStreamServer' : `natsToken(JetStreamServer, '${name}')`;
      new Logger(JetStreamServer.name).warn(
        `Nothing consumes the ${count} workflows of this process. Call app.connectMicroservice({ strategy: app.get(${server}) }) and app.startAllMicroservices(), or give NatsModule the option roles: ['producer']`,
      );
    }, FORGOTTEN_MS).unref();
  }

  /** Nest has a status of transports since 11. */
  #setStatus(status: JetStreamServerStatus): void {
    (this._status$ as typeof this._status$ | undefined)?.next(status);
  }

  /** What is closed while it starts has stopped already: nothing would stop what it starts after that. */
  #assertOpen(): void {
    if (this.#closed) throw bootFailed('the worker was stopped, or the application closed, while it started');
  }

  /** Nest's hooks for tracing, around a call of an event handler; Nest has them since 12.1. */
  readonly #around: AroundHandler = (context, work) =>
    new Promise((resolve, reject) => {
      const isHooked = typeof (this.runWithProcessingHooks as unknown) === 'function';
      if (isHooked) this.runWithProcessingHooks(context, (end) => work().then(resolve, reject).finally(end));
      else work().then(resolve, reject);
    });

  /** Stops pulling, and resolves when what runs has ended, or after `shutdownGrace`. For good: `start()` refuses afterwards. */
  async stop(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#forgotten);
    this.#parts.catalogue.stop();
    await Promise.all([this.#parts.subscriptions.stop(), this.#parts.worker.stop()]);
  }

  async close(): Promise<void> {
    await this.stop();
    this.#unfollow();
    this.#setStatus('closed');
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.close();
  }

  on<Event extends keyof JetStreamServerEvents>(event: Event, callback: JetStreamServerEvents[Event]): void {
    const name = String(event);
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), callback]);
  }

  /** The NATS connection: one of `nats`, unless the application gave another one. */
  unwrap<T = NatsConnection>(): T {
    return this.#parts.runtime.nc as unknown as T;
  }

  #watch(): void {
    this.#unfollow = followConnection(this.#parts.runtime.nc, {
      reconnected: () => {
        this.#setStatus('connected');
        this.#emit('reconnect');
      },
      disconnected: () => {
        this.#setStatus('disconnected');
        this.#emit('disconnect');
      },
      failed: (reason) => this.#emit('error', new Error(reason)),
    });
  }

  #emit(event: string, ...args: readonly Error[]): void {
    for (const listener of this.#listeners.get(event) ?? []) (listener as (...given: readonly Error[]) => void)(...args);
  }
}

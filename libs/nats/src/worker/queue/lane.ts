import type { NatsMessage, PullLoop, PullTarget } from '@loopstack/jetstream';
import { durableOf, type DesiredConsumer } from '@loopstack/operations';
import { monotonicMs, type Priority } from '@loopstack/shared';
import type { ConsumerGuard, DurableState } from '../../consume/consumer-guard.js';
import type { Consumer, ConsumerRuntime } from '../../consume/consumer-runtime.js';
import { Pause } from '../../consume/pause.js';
import { SequenceTable } from '../../consume/sequence-table.js';
import { keepLeases } from '../../leases/keep-leases.js';
import type { LeaseTable } from '../../leases/lease-table.js';
import type { EnsuredConsumer, Topology } from '../../topology/topology.js';
import { Backlog } from './backlog.js';
import { CommandMessage, type CommandHolder } from '../command-message.js';
import { MAX_PREFETCH, Prefetch } from './prefetch.js';
import { RedeliveryUncertainty } from './redelivery-uncertainty.js';
import { RetryShare } from './retry-share.js';

/** Takes commands out of lanes while it has free slots. */
export interface CommandTaker {
  readonly concurrency: number;
  readonly active: number;
  /** A command waits. */
  pump(): void;
}

/** What lanes are made of, beside their durable. */
export interface LaneServices {
  readonly runtime: ConsumerRuntime;
  readonly guard: ConsumerGuard;
  readonly topology: Topology;
  readonly leases: LeaseTable;
}

/** The queue of one durable of a workflow in this process: its pull, what was delivered and waits, and the leases of all that is not settled. */
export class Lane implements Consumer, CommandHolder {
  readonly desired: DesiredConsumer;
  readonly target: PullTarget;
  readonly priority: Priority;
  readonly loop: PullLoop;
  readonly backlog = new Backlog();
  readonly #held = new SequenceTable<CommandMessage>();
  readonly #waiting: CommandMessage[] = [];
  readonly #prefetch = new Prefetch();
  readonly #retries = new RetryShare();
  readonly #uncertainty: RedeliveryUncertainty<DurableState>;
  readonly #pause: Pause;
  readonly #taker: CommandTaker;
  readonly #services: LaneServices;
  #leaseMs: number;
  #consumerSequence = 0;
  #settledInTick = 0;
  #lastSettledMs = monotonicMs();
  #refuse: ((message: CommandMessage) => void) | undefined;
  #pulling: Promise<void> = Promise.resolve();
  #whenEmpty: (() => void) | undefined;

  constructor(desired: DesiredConsumer, taker: CommandTaker, services: LaneServices) {
    const { runtime, guard } = services;
    const { names } = runtime.options;
    this.desired = desired;
    this.target = { stream: names.streams.runs, durable: durableOf(names, desired) };
    this.priority = desired.priorities.length === 1 ? (desired.priorities[0] as Priority) : 'normal';
    this.loop = runtime.pullLoop(this.target, this);
    this.#taker = taker;
    this.#services = services;
    this.#leaseMs = desired.leaseMs;
    this.#pause = new Pause(this.target);
    this.#uncertainty = new RedeliveryUncertainty(
      () => guard.stateOf(this.target),
      ({ leaseMs }) => this.#setLease(leaseMs),
    );
  }

  /** Time after which the server delivers to another worker what is not renewed: that of the durable, whatever was wanted. */
  get leaseMs(): number {
    return this.#leaseMs;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** When the command was published that has waited here the longest. */
  get waitingSinceMs(): number | undefined {
    return this.#waiting.find((message) => !message.settled)?.timeMs;
  }

  get lastSettledMs(): number {
    return this.#lastSettledMs;
  }

  /** Until when an operator has paused the durable. */
  get pausedUntil(): string | undefined {
    return this.#pause.until;
  }

  /** Takes what the durable was found to be. */
  applyState({ leaseMs, pausedUntil }: Pick<EnsuredConsumer, 'leaseMs' | 'pausedUntil'>): void {
    this.#setLease(leaseMs);
    if (this.#pause.apply(pausedUntil)) this.#lastSettledMs = monotonicMs();
  }

  room(outstanding: number): number {
    const { concurrency, active } = this.#taker;
    // What is being settled holds no slot, so it is bounded apart.
    const slots = concurrency + this.#prefetch.size + this.#retries.skipAllowance - active - this.#waiting.length - outstanding;
    return Math.min(slots, concurrency + MAX_PREFETCH - this.#held.size - outstanding);
  }

  message(msg: NatsMessage): void {
    const { runtime, leases } = this.#services;
    const nowMs = monotonicMs();
    const sinceMs = runtime.ticker.onItsWaySince(nowMs);
    const message = new CommandMessage(runtime.acks, msg, leases, this);
    this.backlog.delivered(message.pending);
    // Its lease ran out on the way: it has been delivered again, and any word about this delivery would be a lie.
    if (nowMs - sinceMs >= this.#leaseMs) return;
    const held = this.#held.get(message.sequence);
    if (held && !held.settled) {
      held.takeOver(message, sinceMs, this.#leaseMs);
      return;
    }
    if (message.redelivered) {
      const places = this.#taker.concurrency + this.#prefetch.size;
      if (!this.#refuse && this.#retries.isFull(places, message.pending)) {
        message.nak(this.#retries.defer(nowMs));
        this.pull();
        return;
      }
      this.#retries.take();
    }
    // A consumer that counts from the start again is another one, or has forgotten.
    if (message.consumerSequence < this.#consumerSequence) this.uncertain();
    this.#consumerSequence = message.consumerSequence;
    message.hold(sinceMs, this.#leaseMs, this.#uncertainty.covers(message.timeMs));
    this.#held.put(message);
    if (this.#refuse) {
      this.#refuse(message);
      return;
    }
    this.#waiting.push(message);
    this.#taker.pump();
  }

  take(): CommandMessage | undefined {
    for (;;) {
      const message = this.#waiting.shift();
      // One whose lease was lost while it waited is dropped already.
      if (!message?.settled) return message;
    }
  }

  pull(): void {
    this.loop.pull();
  }

  /** Nothing is left to do for this command. */
  release(message: CommandMessage): void {
    // One whose lease was lost while it was examined comes here twice.
    if (!message.leave()) return;
    this.#held.delete(message);
    if (message.redelivered) this.#retries.release();
    this.#settledInTick++;
    if (this.#held.size === 0) this.#whenEmpty?.();
  }

  restore(reason: string): Promise<boolean> {
    const { guard, topology } = this.#services;
    const ensure = (): Promise<unknown> => topology.restoreConsumer(this.desired);
    return guard.restore({ title: `Consumer ${this.target.durable}`, target: this.target, reason, ensure });
  }

  uncertain(): void {
    this.#consumerSequence = 0;
    this.#uncertainty.raise();
  }

  /** Commands that were stored before this time, by the server's clock, may have been delivered by a durable that is gone. */
  uncertainUntil(timeMs: number): void {
    this.#uncertainty.until(timeMs);
  }

  tick(nowMs: number, connected: boolean): void {
    if (this.#settledInTick > 0) this.#lastSettledMs = nowMs;
    this.#retries.tick(this.#settledInTick);
    this.#prefetch.tick(this.#settledInTick);
    this.#settledInTick = 0;
    keepLeases(this.#held, this.#leaseMs, nowMs, connected, (message) => this.#lose(message));
  }

  /** Stops pulling; what was delivered and not started, and what arrives yet, is handed to `refuse`. */
  stop(refuse: (message: CommandMessage) => void): void {
    this.#refuse = refuse;
    for (const message of this.#waiting.splice(0)) if (!message.settled) refuse(message);
    this.#pulling = this.loop.stop();
  }

  /** Resolves when nothing arrives any more and all is settled. */
  async empty(): Promise<void> {
    await this.#pulling;
    if (this.#held.size > 0) await new Promise<void>((resolve) => (this.#whenEmpty = resolve));
  }

  #setLease(leaseMs: number): void {
    if (leaseMs === this.#leaseMs) return;
    this.#leaseMs = leaseMs;
    for (const message of this.#held) if (!message.settled) message.lease(message.leasedAtMs, leaseMs);
  }

  #lose(message: CommandMessage): void {
    // What has ended is being recorded: whether it stands is for the fence to say, also without the lease.
    if (message.execution) {
      message.execution.abort('lease-lost');
      return;
    }
    message.drop();
    this.release(message);
  }
}

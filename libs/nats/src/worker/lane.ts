import { monotonicMs, type Priority } from '@loopstack/shared';
import {
  PullLoop,
  type NatsConnectionLike,
  type NatsMessage,
  type AckWriter,
  type PullOptions,
  type PullOwner,
  type PullTarget,
} from '@loopstack/jetstream';
import type { DesiredConsumer } from '@loopstack/operations';
import { CommandMessage } from './command-message.js';
import { SequenceTable } from './sequence-table.js';
import type { LeaseTable } from '../leases/lease-table.js';

export interface LaneOwner {
  readonly concurrency: number;
  readonly active: number;
  pump(): void;
}

export interface ConsumerState {
  /** By the server's clock: up to then a stored command may have been delivered without the durable knowing. */
  readonly untilMs: number;
  readonly leaseMs: number;
}

/** What a lane asks of its surroundings. */
export interface LaneSupport {
  /** Since when a command that arrives now may have been on its way: its lease runs from there. */
  onItsWaySince(nowMs: number): number;
  restore(reason: string): Promise<boolean>;
  /** How the durable stands on the server; undefined where the worker stops before it is known. */
  doubt(): Promise<ConsumerState | undefined>;
}

/**
 * Most commands of one lane that a process holds beyond its slots. What is held survives the collection of young objects,
 * which copies it: with 2,048 a recorded run took half as long again as with 512, and with 256 neither was faster.
 */
const MAX_AHEAD = 512;

/** Bounds of how long a command is put off that was delivered again while new ones wait. */
const MIN_PUT_OFF_MS = 100;
const MAX_PUT_OFF_MS = 30_000;
const MAX_PAST = 256;
/** Commands a second that are put off to come back, at least. Too many costs a delivery each, too few leaves slots idle. */
const MIN_RATE = 100;
/** What is left of the best rate after a tenth of a second. */
const RATE_DECAY = 0.998;

/** One durable of a workflow in this process: its pull, what was delivered and waits, and the leases of all that is not settled. */
export class Lane implements PullOwner {
  readonly leases = new SequenceTable<CommandMessage>();
  readonly #waiting: CommandMessage[] = [];
  readonly loop: PullLoop;
  readonly priority: Priority;
  #leaseMs: number;
  /** Commands taken ahead of free slots: what this process settles in a fifth of a second. A slow workflow takes none that another worker could start. */
  #ahead = 0;
  #settledInTick = 0;
  #whenEmpty: (() => void) | undefined;
  #refused: ((message: CommandMessage) => void) | undefined;
  #doubtfulUntilMs = 0;
  #doubts = 0;
  #doubting = false;
  #consumerSequence = 0;
  /** Commands held that were delivered before. */
  #again = 0;
  /** Commands settled in a second, as the best of late. */
  #rate = MIN_RATE;
  #nextTurnMs = 0;
  #putOffInTick = 0;
  /** Asked for beyond the slots while commands are put off: to get past them to the new ones behind. */
  #skipAllowance = 0;
  /** Commands behind the last one delivered, by the server's count, and when it was asked for last. */
  pending = 0;
  pendingAskedMs = 0;
  lastSettledMs = monotonicMs();
  /** Until when somebody has paused the durable. */
  pausedUntil: string | undefined;

  constructor(
    nc: NatsConnectionLike,
    private readonly answers: AckWriter,
    readonly desired: DesiredConsumer,
    readonly target: PullTarget,
    options: PullOptions,
    private readonly owner: LaneOwner,
    private readonly table: LeaseTable,
    private readonly support: LaneSupport,
  ) {
    this.loop = new PullLoop(nc, target, options, this);
    this.#leaseMs = desired.leaseMs;
    this.priority = desired.priorities.length === 1 ? (desired.priorities[0] as Priority) : 'normal';
  }

  /** Time after which the server delivers to another worker what is not renewed. */
  get leaseMs(): number {
    return this.#leaseMs;
  }

  /** The durable has this lease, whatever was wanted; also what is held is renewed by it. */
  set leaseMs(leaseMs: number) {
    if (leaseMs === this.#leaseMs) return;
    this.#leaseMs = leaseMs;
    for (const message of this.leases) if (!message.settled) message.hold(message.leasedAtMs, leaseMs);
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** When the command was published that has waited here the longest. */
  get waitingSinceMs(): number | undefined {
    return this.#waiting.find((message) => !message.settled)?.timeMs;
  }

  room(outstanding: number): number {
    const { concurrency, active } = this.owner;
    // What is being settled holds no slot, so it is bounded apart.
    const slots = concurrency + this.#ahead + this.#skipAllowance - active - this.#waiting.length - outstanding;
    return Math.min(slots, concurrency + MAX_AHEAD - this.leases.size - outstanding);
  }

  message(msg: NatsMessage): void {
    const nowMs = monotonicMs();
    const sinceMs = this.support.onItsWaySince(nowMs);
    const message = new CommandMessage(this.answers, msg, this.table, this);
    this.pending = message.pending;
    // Its lease ran out on the way: it has been delivered again, and any word about this delivery would be a lie.
    if (nowMs - sinceMs >= this.#leaseMs) return;
    const held = this.leases.get(message.sequence);
    if (held && !held.settled) {
      held.redelivered(message, sinceMs, this.#leaseMs);
      return;
    }
    if (message.deliveries > 1) {
      if (!this.#refused && this.#exceedsRetryShare(message)) {
        message.nak(this.#deferralMs(nowMs));
        this.pull();
        return;
      }
      message.again = true;
      this.#again++;
    }
    // A consumer that counts from the start again is another one, or has forgotten.
    if (message.consumerSequence < this.#consumerSequence) this.doubt();
    this.#consumerSequence = message.consumerSequence;
    message.doubtful = message.timeMs <= this.#doubtfulUntilMs;
    message.hold(sinceMs, this.#leaseMs);
    this.leases.put(message);
    if (this.#refused) {
      this.#refused(message);
      return;
    }
    this.#waiting.push(message);
    this.owner.pump();
  }

  /**
   * The server delivers what comes again before anything new, so that ten thousand retries that are due would stop a
   * workflow for as long as they take. While new commands wait, retries have half of the places, and the rest is put off.
   */
  #exceedsRetryShare({ pending }: CommandMessage): boolean {
    return pending > 0 && this.#again >= Math.max(1, (this.owner.concurrency + this.#ahead) / 2);
  }

  /** Until its turn, at the rate at which this process settles. */
  #deferralMs(nowMs: number): number {
    this.#putOffInTick++;
    const turnMs = Math.max(nowMs + MIN_PUT_OFF_MS, this.#nextTurnMs + 1000 / this.#rate);
    this.#nextTurnMs = Math.min(turnMs, nowMs + MAX_PUT_OFF_MS);
    return this.#nextTurnMs - nowMs;
  }

  /** Until it is known what the consumer may have forgotten, that is everything. */
  doubt(): void {
    this.#doubtfulUntilMs = Number.POSITIVE_INFINITY;
    this.#consumerSequence = 0;
    this.#doubts++;
    if (!this.#doubting) void this.#settleDoubts();
  }

  async #settleDoubts(): Promise<void> {
    this.#doubting = true;
    for (let asked = 0; asked !== this.#doubts;) {
      asked = this.#doubts;
      const standing = await this.support.doubt();
      if (!standing) break;
      // What was asked before the last doubt says nothing of it.
      if (asked !== this.#doubts) continue;
      this.#doubtfulUntilMs = standing.untilMs;
      this.leaseMs = standing.leaseMs;
    }
    this.#doubting = false;
  }

  /** Commands that were stored before this time, by the server's clock, are looked up before they run. */
  doubtUntil(timeMs: number): void {
    this.#doubtfulUntilMs = timeMs;
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

  restore(reason: string): Promise<boolean> {
    return this.support.restore(reason);
  }

  /** Gives up a message that nobody works on. */
  drop(message: CommandMessage): void {
    message.drop();
    this.settled(message);
  }

  settled(message: CommandMessage): void {
    this.leases.delete(message);
    if (message.again) this.#again--;
    message.again = false;
    this.#settledInTick++;
    if (this.leases.size === 0) this.#whenEmpty?.();
  }

  /** Called ten times a second. */
  tick(nowMs: number): void {
    if (this.#settledInTick > 0) this.lastSettledMs = nowMs;
    this.#skipAllowance = Math.min(MAX_PAST, 2 * this.#putOffInTick);
    this.#putOffInTick = 0;
    this.#rate = Math.max(MIN_RATE, 10 * this.#settledInTick, this.#rate * RATE_DECAY);
    this.#ahead = Math.min(MAX_AHEAD, Math.max(2 * this.#settledInTick, this.#ahead >> 1));
    this.#settledInTick = 0;
  }

  /** Stops pulling; what was delivered and not started, and what arrives yet, is handed to `refused`. */
  stop(refused: (message: CommandMessage) => void): void {
    this.#refused = refused;
    for (const message of this.#waiting.splice(0)) if (!message.settled) refused(message);
    this.#pulling = this.loop.stop();
  }

  #pulling: Promise<void> = Promise.resolve();

  /** Resolves when nothing arrives any more and all is settled. */
  async empty(): Promise<void> {
    await this.#pulling;
    if (this.leases.size > 0) await new Promise<void>((resolve) => (this.#whenEmpty = resolve));
  }
}

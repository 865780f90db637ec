import type { Priority } from '@loopstack/shared';
import type { Msg, NatsConnection } from 'nats';
import { CommandMessage } from './command-message.js';
import type { LeaseTable } from './lease-table.js';
import { PullLoop, type PullOptions, type PullOwner, type PullTarget } from './pull-loop.js';

export interface LaneOwner {
  readonly concurrency: number;
  readonly active: number;
  pump(): void;
}

/** Most commands of one lane that a process holds beyond its slots. */
const MAX_AHEAD = 2048;

/** One durable of a workflow in this process: its pull, what was delivered and waits, and the leases of all that is not settled. */
export class Lane implements PullOwner {
  readonly leases = new Set<CommandMessage>();
  readonly #waiting: CommandMessage[] = [];
  readonly loop: PullLoop;
  /** Commands taken ahead of free slots: what this process settles in a fifth of a second. A slow workflow takes none that another worker could start. */
  #ahead = 0;
  #settledInTick = 0;
  #whenEmpty: (() => void) | undefined;
  /** Commands behind the last one delivered, by the server's count. */
  pending = 0;
  lastSettledMs = Date.now();

  constructor(
    private readonly nc: NatsConnection,
    readonly priority: Priority,
    readonly target: PullTarget,
    options: PullOptions,
    private readonly owner: LaneOwner,
    private readonly leaseMs: number,
    private readonly table: LeaseTable,
    private readonly restoreConsumer: (reason: string) => Promise<boolean>,
  ) {
    this.loop = new PullLoop(nc, target, options, this);
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  room(outstanding: number): number {
    const { concurrency, active } = this.owner;
    // What is being settled holds no slot, so it is bounded apart.
    const slots = concurrency + this.#ahead - active - this.#waiting.length - outstanding;
    return Math.min(slots, concurrency + MAX_AHEAD - this.leases.size - outstanding);
  }

  message(msg: Msg): void {
    const message = new CommandMessage(this.nc, msg, Date.now(), this.leaseMs, this.table, this);
    this.pending = message.pending;
    this.leases.add(message);
    this.#waiting.push(message);
    this.owner.pump();
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
    return this.restoreConsumer(reason);
  }

  /** Gives up a message that nobody works on. */
  drop(message: CommandMessage): void {
    message.drop();
    this.settled(message);
  }

  settled(message: CommandMessage): void {
    this.leases.delete(message);
    this.#settledInTick++;
    if (this.leases.size === 0) this.#whenEmpty?.();
  }

  /** Called ten times a second. */
  tick(nowMs: number): void {
    if (this.#settledInTick > 0) this.lastSettledMs = nowMs;
    this.#ahead = Math.min(MAX_AHEAD, Math.max(2 * this.#settledInTick, this.#ahead >> 1));
    this.#settledInTick = 0;
  }

  /** Stops pulling; returns what was delivered and not started. */
  stop(): readonly CommandMessage[] {
    this.loop.stop();
    return this.#waiting.splice(0);
  }

  async empty(): Promise<void> {
    if (this.leases.size > 0) await new Promise<void>((resolve) => (this.#whenEmpty = resolve));
  }
}

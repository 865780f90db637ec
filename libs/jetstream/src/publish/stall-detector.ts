import type { Pending } from './queue/pending.js';
import { ticksOf } from './queue/ticks.js';

/** Ticks without an acknowledgement, under timeouts, after which the server counts as cut off from the others. */
const CUT_OFF_TICKS = 100;

/** Tells from the server's answers whether it works messages off, is only slow, or has stalled. Times are ticks. */
export class StallDetector {
  #lastToken = 0;
  #acknowledgedAt = 0;
  #refusedAt = 0;
  #unansweredSince = 0;

  /** The message written last of those that were acknowledged. */
  get lastToken(): number {
    return this.#lastToken;
  }

  /** When a message was acknowledged for the last time. */
  get acknowledgedAt(): number {
    return this.#acknowledgedAt;
  }

  acknowledged(token: number, tick: number): void {
    if (token > this.#lastToken) this.#lastToken = token;
    this.#acknowledgedAt = tick;
  }

  refused(tick: number): void {
    this.#refusedAt = tick;
  }

  /** The connection is new, and owes no answer yet. */
  restarted(tick: number): void {
    this.#acknowledgedAt = tick;
  }

  /** Whether answers settle messages now. */
  moves(tick: number): boolean {
    return this.#movedAt >= tick - 1;
  }

  /** Whether a message that waits in the queue, and was never written, has seen nothing move for longer than its timeout. */
  hasStalled({ queuedAt, timeoutMs }: Pick<Pending, 'queuedAt' | 'timeoutMs'>, tick: number): boolean {
    return tick - Math.max(this.#movedAt, queuedAt) > ticksOf(timeoutMs);
  }

  /** A server that is cut off from the others still takes messages. Called with each that timed out; true once in `CUT_OFF_TICKS`. */
  isCutOff({ deadline, timeoutMs }: Pick<Pending, 'deadline' | 'timeoutMs'>, tick: number): boolean {
    if (this.#unansweredSince <= this.#acknowledgedAt) {
      const writtenAt = deadline - ticksOf(timeoutMs) - 1;
      this.#unansweredSince = Math.max(this.#acknowledgedAt + 1, writtenAt);
    }
    if (tick - this.#unansweredSince < CUT_OFF_TICKS) return false;
    this.#unansweredSince = tick;
    return true;
  }

  /** When an answer settled a message for the last time: a queue that moves on is no reason to give up. */
  get #movedAt(): number {
    return Math.max(this.#acknowledgedAt, this.#refusedAt);
  }
}

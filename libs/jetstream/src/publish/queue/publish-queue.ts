import { Fifo } from './fifo.js';
import type { Pending } from './pending.js';
import { disconnected, unavailable } from '../publish-errors.js';
import { deadlineAt } from '../retransmission.js';
import type { StallDetector } from '../stall-detector.js';

/** The messages that wait to be written, in the order of the calls. */
export class PublishQueue extends Fifo<Pending> {
  enqueue(pending: Pending, tick: number): void {
    pending.queuedAt = tick;
    this.push(pending);
  }

  rejectAll(error: (pending: Pending) => Error): void {
    while (this.length > 0) {
      const pending = this.shift() as Pending;
      pending.reject(error(pending));
    }
  }

  /** The connection was lost: the time of each runs from now on. */
  startDeadlines(tick: number): void {
    this.forEach((pending) => (pending.deadline = deadlineAt(pending.timeoutMs, tick)));
  }

  /** Rejects those whose time is over while the connection is down. */
  rejectLate(tick: number): void {
    this.#rejectWhere(
      ({ deadline }) => deadline <= tick,
      ({ subject }) => disconnected(subject),
    );
  }

  /** Rejects those that have seen the server settle no message for longer than their timeout. */
  rejectStalled(stall: StallDetector, tick: number): void {
    if (this.length === 0 || stall.moves(tick)) return;
    this.#rejectWhere(
      (pending) => stall.hasStalled(pending, tick),
      ({ subject, timeoutMs }) => unavailable(subject, `nothing was acknowledged for ${timeoutMs} ms`),
    );
  }

  #rejectWhere(isOver: (pending: Pending) => boolean, error: (pending: Pending) => Error): void {
    this.removeWhere((pending) => {
      const over = isOver(pending);
      if (over) pending.reject(error(pending));
      return over;
    });
  }
}

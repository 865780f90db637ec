import { LONGEST_TIMER_MS, localMs, type Clock } from '@loopstack/shared';

/** Something that happens at a time, unless it is canceled before. */
export interface ClockTimer {
  cancel(): void;
}

interface Planned {
  readonly dueMs: number;
  readonly work: () => void;
}

/**
 * The clock of an in-memory broker: the machine's, and how far it was moved ahead by hand. It reads `Date` and waits by `setTimeout` as
 * they are at that moment, so the fake timers of a test framework move it, too. No timer of it keeps a process alive.
 */
export class VirtualClock implements Clock {
  /** By time, and by their order of planning within one. */
  readonly #planned: Planned[] = [];
  #aheadMs = 0;
  /** Where it stands while it is moved by hand: what happens then takes no time. */
  #heldMs: number | undefined;
  #armed: { readonly dueMs: number; readonly by: typeof setTimeout; readonly clear: () => void } | undefined;
  #stopped = false;

  nowMs(): number {
    return this.#heldMs ?? localMs() + this.#aheadMs;
  }

  isoNow(): string {
    return new Date(this.nowMs()).toISOString();
  }

  need(): void {}

  /** When something is planned next, in milliseconds since the epoch; undefined: nothing is. */
  get nextMs(): number | undefined {
    return this.#planned[0]?.dueMs;
  }

  at(dueMs: number, work: () => void): ClockTimer {
    const planned: Planned = { dueMs, work };
    if (!this.#stopped) {
      this.#planned.splice(this.#placeOf(dueMs), 0, planned);
      this.#arm();
    }
    return {
      cancel: () => {
        const place = this.#planned.indexOf(planned);
        if (place >= 0) this.#planned.splice(place, 1);
      },
    };
  }

  after(delayMs: number, work: () => void): ClockTimer {
    return this.at(this.nowMs() + delayMs, work);
  }

  /** Stops it where it is, until `release`. */
  hold(): void {
    this.#heldMs = this.nowMs();
  }

  /** Moves it ahead to a time while it is held, and does what is due then. Never moves it back. */
  moveTo(timeMs: number): void {
    this.#heldMs = Math.max(this.nowMs(), timeMs);
    this.#fire();
  }

  /** It goes on from where it was held. */
  release(): void {
    this.#aheadMs = this.nowMs() - localMs();
    this.#heldMs = undefined;
    this.#arm();
  }

  stop(): void {
    this.#stopped = true;
    this.#planned.length = 0;
    this.#disarm();
  }

  /** Behind all that is due at the same time or before. */
  #placeOf(dueMs: number): number {
    let low = 0;
    let high = this.#planned.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#planned[middle] as Planned).dueMs <= dueMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #fire(): void {
    const now = this.nowMs();
    while (this.#planned.length > 0 && (this.#planned[0] as Planned).dueMs <= now) (this.#planned.shift() as Planned).work();
    this.#arm();
  }

  /** One timer, for what is planned next. A timer that fake timers replaced meanwhile never fires: it is made anew. */
  #arm(): void {
    const dueMs = this.nextMs;
    const { setTimeout, clearTimeout } = globalThis;
    if (dueMs === undefined || this.#heldMs !== undefined) return this.#disarm();
    if (this.#armed?.dueMs === dueMs && this.#armed.by === setTimeout) return;
    this.#disarm();
    const waitMs = Math.min(LONGEST_TIMER_MS, Math.max(1, dueMs - this.nowMs()));
    const timer = setTimeout(() => {
      this.#armed = undefined;
      this.#fire();
    }, waitMs);
    timer.unref?.();
    this.#armed = { dueMs, by: setTimeout, clear: () => clearTimeout(timer) };
  }

  #disarm(): void {
    this.#armed?.clear();
    this.#armed = undefined;
  }
}

import { monotonicMs } from '@loopstack/shared/contract';
import { inboxOf } from '../connection/connection.js';
import type { NatsConnectionLike, NatsMessage, NatsSubscription } from '../connection/nats-connection.js';
import { isDelivery } from '../read/raw-message.js';

export interface PullTarget {
  readonly stream: string;
  readonly durable: string;
}

export interface PullOptions {
  readonly apiPrefix: string;
  readonly heartbeatMs: number;
  /** Time after which a pull that waits for messages is made anew. */
  readonly expiresMs: number;
}

/** What a loop asks of its owner. */
export interface PullOwner {
  /** Messages that may still be asked for, beyond those outstanding. */
  room(outstanding: number): number;
  message(msg: NatsMessage): void;
  /** The consumer is gone or silent: it is made sure of, then pulled from again. Must not reject. */
  restore(reason: string): Promise<boolean>;
  /** The consumer may have forgotten what it delivered. */
  uncertain(): void;
}

/** One of the two pulls that a loop keeps in turn, so that messages flow while the next batch is asked for. */
interface Slot {
  readonly inbox: string;
  subscription: NatsSubscription | undefined;
  remaining: number;
  heardAtMs: number;
}

/** Wait before a pull is repeated that the server refused for a reason that passes. */
const REFUSED_MS = 250;
/** Longest wait for what is on its way when a loop is stopped. */
const DRAIN_MS = 1000;

/**
 * Pulls from one durable for as long as it runs. Written on requests instead of the client's `consume()`, whose
 * iterator ends without an error, stalls for 20 s and more after a leader's death, and does not see a deleted consumer.
 * Liveness is the server's heartbeat: a pull that hears nothing for two and a half of them is void.
 */
export class PullLoop {
  readonly #nc: NatsConnectionLike;
  readonly #target: PullTarget;
  readonly #options: PullOptions;
  readonly #owner: PullOwner;
  readonly #slots: readonly [Slot, Slot];
  #running = false;
  #restoring = false;
  /** Counts restorations; one whose number is not the last is void. */
  #restoration = 0;
  #resting: NodeJS.Timeout | undefined;
  #refusal: string | undefined;
  /** Restorations since the server was last heard of. */
  #unheard = 0;

  constructor(nc: NatsConnectionLike, target: PullTarget, options: PullOptions, owner: PullOwner) {
    this.#nc = nc;
    this.#target = target;
    this.#options = options;
    this.#owner = owner;
    const slot = (): Slot => ({ inbox: inboxOf(nc), subscription: undefined, remaining: 0, heardAtMs: 0 });
    this.#slots = [slot(), slot()];
  }

  get outstanding(): number {
    return this.#slots[0].remaining + this.#slots[1].remaining;
  }

  /** Last time that the server was heard of, in milliseconds since the epoch. */
  get heardAtMs(): number {
    return Math.max(this.#slots[0].heardAtMs, this.#slots[1].heardAtMs);
  }

  /** Why the server refuses pulls, as long as it does. */
  get refusal(): string | undefined {
    return this.#refusal;
  }

  get restoring(): boolean {
    return this.#restoring;
  }

  start(): void {
    this.#running = true;
    for (const slot of this.#slots) {
      slot.subscription = this.#nc.subscribe(slot.inbox, { callback: (error, msg) => this.#received(slot, error, msg) });
    }
    this.pull();
  }

  /** Asks for as many messages as there is room for, if a pull is free and it is worth a request. */
  pull(): void {
    if (!this.#running || this.#restoring || this.#resting) return;
    const slot = this.#slots[0].remaining === 0 ? this.#slots[0] : this.#slots[1].remaining === 0 ? this.#slots[1] : undefined;
    if (!slot) return;
    const { outstanding } = this;
    const room = this.#owner.room(outstanding);
    // A second pull only when a good part of the window is free, not one request for every message.
    if (room <= 0 || (outstanding > 0 && room < outstanding)) return;
    slot.remaining = room;
    slot.heardAtMs = monotonicMs();
    const ns = 1_000_000;
    const request = `{"batch":${room},"expires":${this.#options.expiresMs * ns},"idle_heartbeat":${this.#options.heartbeatMs * ns}}`;
    this.#nc.publish(
      `${this.#options.apiPrefix}.CONSUMER.MSG.NEXT.${this.#target.stream}.${this.#target.durable}`,
      encoder.encode(request),
      {
        reply: slot.inbox,
      },
    );
  }

  /** Called about every heartbeat; `late`: the event loop was blocked, so silence proves nothing. */
  check(nowMs: number, late: boolean): void {
    if (!this.#running) return;
    for (const slot of this.#slots) {
      if (slot.remaining === 0) continue;
      if (late) slot.heardAtMs = nowMs;
      else if (nowMs - slot.heardAtMs > 2.5 * this.#options.heartbeatMs) this.#void(slot, 'no heartbeat');
    }
    this.pull();
  }

  /** The connection was made anew: what was asked before is forgotten by the server. Nothing is asked for before `restMs` have passed. */
  reconnected(restMs = 0): void {
    for (const slot of this.#slots) slot.remaining = 0;
    if (restMs > 0 && this.#running) this.#later(restMs);
    // What a restoration asked over the old connection gets no answer.
    if (this.#restoring) this.#restore('the connection is new');
    else this.pull();
  }

  /** Asks for nothing more and gives the inboxes up. Resolves when the server has said that nothing more is on its way. */
  async stop(): Promise<void> {
    this.#running = false;
    this.#restoration++;
    clearTimeout(this.#resting);
    this.#resting = undefined;
    for (const slot of this.#slots) slot.remaining = 0;
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise<void>((resolve) => (timer = setTimeout(resolve, DRAIN_MS)));
    // While the connection is down, no answer and no message arrives.
    const drained = Promise.all(this.#slots.map(async ({ subscription }) => subscription?.drain())).catch(() => undefined);
    await Promise.race([drained, enough]);
    clearTimeout(timer);
  }

  #received(slot: Slot, error: Error | null, msg: NatsMessage): void {
    if (error) {
      this.#void(slot, error.message);
      return;
    }
    slot.heardAtMs = monotonicMs();
    this.#unheard = 0;
    if (isDelivery(msg)) {
      this.#refusal = undefined;
      if (slot.remaining > 0) slot.remaining--;
      this.#owner.message(msg);
      return;
    }
    const code = msg.headers?.code ?? 0;
    if (code < 409) this.#refusal = undefined;
    if (code === 100) return;
    slot.remaining = 0;
    if (code === 404 || code === 408) {
      this.pull();
      return;
    }
    const reason = msg.headers?.description ?? 'unknown status';
    if (code === 503 || /deleted|not found/i.test(reason)) this.#void(slot, code === 503 ? 'nothing answers for the consumer' : reason);
    else {
      this.#refusal = reason;
      if (/leader|shutdown/i.test(reason)) this.#owner.uncertain();
      if (!this.#resting) this.#later(REFUSED_MS);
    }
  }

  #later(ms: number): void {
    clearTimeout(this.#resting);
    this.#resting = setTimeout(() => {
      this.#resting = undefined;
      this.pull();
    }, ms);
  }

  #void(slot: Slot, reason: string): void {
    slot.remaining = 0;
    if (!this.#restoring && this.#running) this.#restore(reason);
  }

  /** Until it succeeds: the alarm that a failure raised ends only with a success. */
  #restore(reason: string): void {
    this.#restoring = true;
    const restoration = ++this.#restoration;
    void this.#owner.restore(reason).then((restored) => {
      if (restoration !== this.#restoration) return;
      if (!restored) {
        setTimeout(() => restoration === this.#restoration && this.#restore(reason), REFUSED_MS).unref();
        return;
      }
      this.#restoring = false;
      // Beyond max_waiting the server drops a pull without a word.
      if (++this.#unheard > 2) this.#refusal = 'pulls get no answer; is max_waiting of the durable less than its workers?';
      this.#owner.uncertain();
      this.pull();
    });
  }
}

const encoder = new TextEncoder();

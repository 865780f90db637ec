import { Allocations } from './allocations.js';
import { nowMs, type Order } from './order.js';

/** What a consumer saw of a round. */
export interface Count {
  readonly expected: number;
  readonly executed: number;
  readonly missing: number;
  readonly twice: number;
}

/** What a worker process is to execute. */
export interface Expectation {
  /** Executions after which the measurement ends. */
  readonly expected: number;
  readonly warmUp: number;
  /** Orders that are queued. Default: as many. */
  readonly places?: number;
  /** Executions of each order (fan-out). Default 1. */
  readonly times?: number;
  /** Counts what is allocated, which takes time. */
  readonly allocations?: boolean;
}

/** Counts executions by their place, and keeps the time of the first and of the last one that is warm-up. */
export class Tally {
  readonly expected: number;
  readonly #warmUp: number;
  readonly #times: number;
  readonly #seen: Uint8Array;
  executed = 0;
  firstMs = 0;
  warmMs = 0;
  doneMs = 0;
  /** CPU seconds of this process from the end of the warm-up to the last of the expected executions. */
  cpuSeconds = 0;
  #cpuAtWarm: NodeJS.CpuUsage = { user: 0, system: 0 };
  /** Bytes that were allocated in that time, where that is asked for. */
  allocated = 0;
  #allocations: Allocations | undefined;
  readonly #countsAllocations: boolean;
  /** Time from publish to execution, in ms, of those after the warm-up that tell when they were published. */
  readonly latencies: number[] = [];
  readonly done: Promise<void>;
  #resolve: () => void = () => undefined;

  constructor({ expected, warmUp, places = expected, times = 1, allocations = false }: Expectation) {
    this.#countsAllocations = allocations;
    this.expected = expected;
    this.#warmUp = warmUp;
    this.#times = times;
    this.#seen = new Uint8Array(places);
    this.done = new Promise((resolve) => (this.#resolve = resolve));
  }

  one(payload: Order): void {
    (this.#seen[payload.place] as number)++;
    const executed = ++this.executed;
    if (executed === 1) this.firstMs = nowMs();
    if (executed === this.#warmUp) {
      this.warmMs = nowMs();
      this.#cpuAtWarm = process.cpuUsage();
      if (this.#countsAllocations) this.#allocations = new Allocations();
    }
    if (payload.sentMs > 0 && executed > this.#warmUp) this.latencies.push(nowMs() - payload.sentMs);
    if (executed === this.expected * this.#times) this.#end();
  }

  #end(): void {
    const { user, system } = process.cpuUsage(this.#cpuAtWarm);
    this.cpuSeconds = (user + system) / 1e6;
    this.allocated = this.#allocations?.stop() ?? 0;
    this.doneMs = nowMs();
    this.#resolve();
  }

  count(): Count {
    let kept = 0;
    let twice = 0;
    for (const times of this.#seen) {
      if (times >= this.#times) kept++;
      if (times > this.#times) twice++;
    }
    return { expected: this.expected, executed: this.executed, missing: Math.max(0, this.expected - kept), twice };
  }
}

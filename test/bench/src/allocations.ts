import { GCProfiler } from 'node:v8';

/** Counts the bytes that this process allocates in its JavaScript heap, also those that are collected meanwhile. */
export class Allocations {
  readonly #profiler = new GCProfiler();
  readonly #from: number;

  constructor() {
    this.#profiler.start();
    this.#from = process.memoryUsage().heapUsed;
  }

  /** Bytes since it was made. To be asked once. */
  stop(): number {
    const until = process.memoryUsage().heapUsed;
    let allocated = 0;
    let last = this.#from;
    for (const { beforeGC, afterGC } of this.#profiler.stop().statistics) {
      allocated += beforeGC.heapStatistics.usedHeapSize - last;
      last = afterGC.heapStatistics.usedHeapSize;
    }
    return allocated + until - last;
  }
}

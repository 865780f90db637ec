import { monotonicMs } from '@loopstack/shared';
import { Logger } from '@nestjs/common';
import { Worker as Thread } from 'node:worker_threads';
import type { TickListener, Ticker } from '../consume/ticker.js';
import { LeaseTable, THREAD_LOOKS_PER_LEASE } from './lease-table.js';
import type { FromThread, LeaseThreadData, ToThread } from './lease-thread.js';
import type { ResolvedNatsOptions } from '../options.js';
import { packageFile } from './package-file.js';

/** Longest wait for the lease thread. */
const READY_MS = 10_000;

/** A handler that blocks for three leases keeps its run; what blocks for longer than four, and two minutes, is taken for one that never ends. */
const LEASES_BLOCKED = 4;
const LEAST_BLOCKED_MS = 120_000;

/** How long the event loop may stand still before the process is ended. */
export function maxBlockedMs(options: Pick<ResolvedNatsOptions, 'maxBlockedMs'>, longestLeaseMs: number): number {
  return options.maxBlockedMs ?? Math.max(LEAST_BLOCKED_MS, LEASES_BLOCKED * longestLeaseMs);
}

/**
 * Keeps the leases of this process from a thread with a connection of its own, so that a handler that blocks the event
 * loop does not lose its run, nor those that wait behind it (docs/adr/0002). The main thread is the second line: it
 * renews what the thread has not, and gives up what is older than its period. The thread ends a process whose event loop stands
 * still for too long, also where it keeps no leases.
 */
export class LeaseKeeper implements TickListener {
  readonly table = new LeaseTable();
  readonly #logger = new Logger(LeaseKeeper.name);
  readonly #ticker: Ticker;
  #thread: Thread | undefined;

  constructor(ticker: Ticker) {
    this.#ticker = ticker;
  }

  /**
   * Resolves when leases are kept: a handler that blocks before the thread is connected would lose them.
   * @param blockedMs how long the event loop may stand still before the process is ended
   */
  async start(options: ResolvedNatsOptions, shortestLeaseMs: number, blockedMs: number): Promise<void> {
    const { connect, credentials, domain, names } = options;
    const data: LeaseThreadData = {
      memory: this.table.memory,
      connect: options.leaseThread ? { ...connect, name: `${connect.name ?? 'loopstack'} leases` } : undefined,
      credentials,
      everyMs: Math.max(50, Math.floor(shortestLeaseMs / THREAD_LOOKS_PER_LEASE)),
      maxBlockedMs: blockedMs,
      stream: names.streams.runs,
      domain,
    };
    this.tick(monotonicMs());
    this.#ticker.add(this);
    const thread = (this.#thread = this.#begin(data));
    let timer: NodeJS.Timeout | undefined;
    const ready = await new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, READY_MS, false);
      thread.on('message', (message: FromThread) => {
        if (message === 'ready') resolve(true);
        else say(thread, 'here');
      });
      thread.on('error', (error: Error) => {
        this.#logger.error(`The lease thread ended, the main thread keeps leases alone: ${error.message}`);
        resolve(true);
      });
      thread.unref();
    });
    clearTimeout(timer);
    if (!ready) this.#logger.warn(`The lease thread was not ready after ${READY_MS} ms; the main thread keeps leases meanwhile`);
  }

  #begin(data: LeaseThreadData): Thread {
    const file = packageFile('lease-thread.js');
    try {
      return new Thread(file, { workerData: data });
    } catch (error) {
      // Options that hold functions cannot be given to a thread.
      this.#logger.warn(`Leases are kept by the main thread only; a handler must not block it for long: ${(error as Error).message}`);
      return new Thread(file, { workerData: { ...data, connect: undefined, credentials: undefined } });
    }
  }

  /** The main thread says that it is alive. */
  tick(nowMs: number): void {
    this.table.beat(nowMs);
  }

  stop(): void {
    this.#ticker.remove(this);
    if (this.#thread) say(this.#thread, 'stop');
    this.#thread = undefined;
  }
}

function say(thread: Thread, message: ToThread): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  thread.postMessage(message);
}

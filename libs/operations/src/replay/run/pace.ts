import type { Priority, RunAddress, WireNames } from '@loopstack/shared/contract';
import { subjectsOf, type JetStreamApi } from '@loopstack/jetstream';

/** Most commands in one batch: the server takes 1,000 messages, and one is the checkpoint. */
const LARGEST_BATCH = 999;
/** A batch is at most what the rate allows in this time, so that a slow replay is even. */
const BATCH_MS = 200;
/** Between looks at a queue that is full. */
const QUEUE_POLL_MS = 250;
/** Queues whose room is remembered; of one that is forgotten, the server is asked again. */
const KEPT_ROOMS = 4096;

/** Commands that a batch may hold at a rate. */
export function batchSize(rate: number | undefined): number {
  return rate === undefined ? LARGEST_BATCH : Math.min(LARGEST_BATCH, Math.max(1, Math.floor((rate * BATCH_MS) / 1000)));
}

/** When the next batch may go, at a rate. Unused time is lost: a replay never makes up for a pause with a burst. */
export class Rate {
  readonly #perSecond: number | undefined;
  #nextMs = 0;

  constructor(perSecond: number | undefined) {
    this.#perSecond = perSecond;
  }

  /** Milliseconds to wait before `count` commands may go at `nowMs`; counts them as gone. */
  take(count: number, nowMs: number): number {
    if (this.#perSecond === undefined) return 0;
    const atMs = Math.max(nowMs, this.#nextMs);
    this.#nextMs = atMs + (count * 1000) / this.#perSecond;
    return atMs - nowMs;
  }
}

/** Commands of each workflow in a batch. */
export type CommandCounts = ReadonlyMap<string, { readonly address: RunAddress; readonly count: number }>;

/** Counts the commands of each workflow. Pure. */
export function byAddress(commands: readonly { readonly command: RunAddress }[]): CommandCounts {
  const counts = new Map<string, { readonly address: RunAddress; count: number }>();
  for (const { command } of commands) {
    const key = `${command.workspace}.${command.workflow}`;
    const entry = counts.get(key);
    if (entry) entry.count++;
    else counts.set(key, { address: command, count: 1 });
  }
  return counts;
}

/** How many more commands the queues of workflows may take. */
export class Backlog {
  readonly #api: JetStreamApi;
  readonly #names: WireNames;
  readonly #priority: Priority;
  readonly #maxQueued: number;
  readonly #room = new Map<string, number>();

  constructor(api: JetStreamApi, names: WireNames, priority: Priority, maxQueued: number) {
    this.#api = api;
    this.#names = names;
    this.#priority = priority;
    this.#maxQueued = maxQueued;
  }

  /** Resolves when there is room for `counts` commands of each address. `wait` returns false to give up. */
  async take(counts: CommandCounts, wait: (ms: number) => Promise<boolean>): Promise<boolean> {
    for (const [key, { address, count }] of counts) {
      // A batch larger than the limit goes when the queue is empty.
      const needed = Math.min(count, this.#maxQueued);
      while ((this.#room.get(key) ?? 0) < needed) {
        const room = this.#maxQueued - (await this.#queued(address));
        if (this.#room.size >= KEPT_ROOMS) this.#room.clear();
        this.#room.set(key, room);
        if (room < needed && !(await wait(QUEUE_POLL_MS))) return false;
      }
      this.#room.set(key, (this.#room.get(key) ?? 0) - count);
    }
    return true;
  }

  /** Commands that wait or run: in the lane's queue where the workflow has one, else in its only queue. */
  async #queued(address: RunAddress): Promise<number> {
    const { runs } = this.#names.streams;
    for (const durable of new Set([this.#names.durable(address, this.#priority), this.#names.durable(address)])) {
      const info = await this.#api.findConsumer(runs, durable);
      if (info) return info.num_pending + info.num_ack_pending;
    }
    // No worker has ever taken from it: every command there waits.
    const subject = this.#names.run(address, this.#priority);
    return (await subjectsOf(this.#api, runs, subject)).get(subject) ?? 0;
  }
}

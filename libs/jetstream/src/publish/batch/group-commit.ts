import type { LoopstackError } from '@loopstack/shared/contract';
import { MAX_BATCH, MAX_BATCH_BYTES, takesNoBatches } from './batch.js';
import type { Fifo } from '../queue/fifo.js';
import { Grouping } from './grouping.js';
import { groupOf, type Pending } from '../queue/pending.js';
import { TICK_MS } from '../queue/ticks.js';

/** Groups on the way: one that the server writes, and one that it receives meanwhile. */
const MAX_GROUPS = 2;
/** A handful of messages is written faster one by one than as groups of two or three. */
const LEAST_GATHERED = 16;
/**
 * Batches that callers made on the way. The server keeps 50 open for a stream, and drops any more without a word; measured, more than
 * these few do not make it faster.
 */
export const MAX_BATCHES = 4;

/** Gathers messages that are published at the same time into atomic batches, as long as that is faster. */
export class GroupCommit {
  readonly #grouping: Grouping;
  readonly #write: () => void;
  #loop = performance.eventLoopUtilization();
  #isScheduled = false;

  /** @param write writes what waits */
  constructor(mode: boolean | 'auto', write: () => void) {
    this.#grouping = new Grouping(mode, TICK_MS);
    this.#write = write;
  }

  /** Bound of messages in flight. */
  get limit(): number {
    return this.#grouping.limit;
  }

  /** Whether a message waits for others that go with it. */
  takes({ groupable }: Pending): boolean {
    return groupable && this.#grouping.on;
  }

  /** Whether a message goes with others now. */
  gathers(pending: Pending, unsettled: number): boolean {
    return this.takes(pending) && unsettled >= LEAST_GATHERED;
  }

  /** The messages that are published in this turn of the event loop go together. */
  writeAfterTurn(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.#write();
    });
  }

  /**
   * Takes a group from the head of a queue.
   * @param writeAlone of a group that the server refuses for one of its messages: each gets its own answer then
   */
  take(queue: Fifo<Pending>, size: number, writeAlone: (member: Pending) => void): Pending {
    const members = takeMembers(queue, size);
    const [first] = members as readonly [Pending];
    if (members.length === 1) {
      first.group = true;
      return first;
    }
    return groupOf(members, (error) => {
      if (takesNoBatches(error)) this.#grouping.giveUp();
      for (const member of members) {
        const own = errorOfMember(member, error);
        if (own) member.reject(own);
        else writeAlone(member);
      }
    });
  }

  /** The server has stored a group. */
  acknowledged(): void {
    this.#grouping.acknowledged();
  }

  /** @param acknowledged messages of the last tick */
  tick(acknowledged: number, unsettled: number): void {
    const loop = performance.eventLoopUtilization();
    this.#grouping.tick(acknowledged, unsettled, performance.eventLoopUtilization(loop, this.#loop).utilization);
    this.#loop = loop;
  }
}

/** Messages in flight, as far as a group depends on them. */
export interface Flight {
  /** Messages that may be in flight. */
  readonly room: number;
  readonly messages: number;
  readonly groups: number;
}

/**
 * How many messages the next group may have; 0: it waits. While answers come, a group that takes the last free places would be a
 * small one, and hold up those behind it.
 */
export function groupSize({ room, messages, groups }: Flight, queued: number, moves: boolean): number {
  const free = room - messages;
  if (groups >= MAX_GROUPS || (moves && free < Math.min(queued, room / MAX_GROUPS))) return 0;
  return Math.min(MAX_BATCH, free);
}

/** The groupable messages at the head of a queue, as far as one batch holds them. */
export function takeMembers(queue: Fifo<Pending>, size: number): readonly Pending[] {
  const members: Pending[] = [];
  for (let bytes = 0; members.length < size && bytes < MAX_BATCH_BYTES;) {
    const next = queue.peek();
    if (!next?.groupable) break;
    bytes += next.bytes;
    members.push(queue.shift() as Pending);
  }
  return members;
}

/** The error that a member of a refused group tells its caller; undefined: the group was refused for one of its messages. */
export function errorOfMember(member: Pending, error: Error): Error | undefined {
  const { code } = error as LoopstackError;
  if (code === 'PUBLISH_TIMEOUT') return member.timedOut();
  return code === 'CLOSED' || code === 'STORAGE_FAILED' ? error : undefined;
}

import {
  HEADER,
  LoopstackError,
  decodeRunCommand,
  untrustedReason,
  isOutcome,
  runIdOf,
  sequenceRunId,
  monotonicMs,
  type DeadReason,
  type ResolvedTrust,
  type RunAddress,
  type RunEvent,
  type WireNames,
} from '@loopstack/shared';
import { factsOfCommand } from '@loopstack/core';
import { Logger } from '@nestjs/common';
import type { DeadLetterWriter } from '../worker/outcome/dead-letter-writer.js';
import type { JetStreamApi, StoredMessage } from '@loopstack/jetstream';
import { Digest, shownNames } from '@loopstack/operations';
import { RecentKeys } from './recent-keys.js';
import { FencedError, type RunEvents } from '../worker/outcome/run-events.js';

/** Names that may wait for a worker. What is sent to further ones becomes dead letters at once. */
const MAX_UNSERVED = 1000;
/** Commands made dead letters at once, and in one sweep. */
const AT_ONCE = 16;
const PER_SWEEP = 2000;
/** What a letter points to stays where it is, and is looked at again after this. */
const POINTED_MS = 60_000;
const POINTED = 4096;

interface Waiting {
  readonly subject: string;
  readonly address: RunAddress;
  readonly count: number;
}

/** Whose commands are trusted in a workspace; undefined where no signature is demanded. */
export type TrustOf = (workspace: string) => ResolvedTrust | undefined;

export interface UnservedOptions {
  readonly trustOf: TrustOf;
  /** How long commands wait for the first worker of their workflow. */
  readonly afterMs: number;
  /** How long what a letter points to is kept. */
  readonly keepMs: number;
}

/** What is seen in one sweep over the subjects of the stream. */
export class UnservedSweep {
  readonly known = new Set<string>();
  readonly others: Waiting[] = [];
  readonly digest = new Digest();

  add(waiting: Waiting, isKnown: boolean): void {
    this.digest.add(waiting.address, waiting.count);
    if (isKnown) this.known.add(waiting.subject);
    else if (this.others.length < MAX_UNSERVED + PER_SWEEP) this.others.push(waiting);
  }
}

/**
 * Commands of workflows that no worker has ever served: the worker is still to come, or the name is wrong. They wait for a time, those
 * of the first thousand names; then they become dead letters, and their runs have failed. Any number of workers may do so at once.
 */
export class UnservedCommandKeeper {
  readonly #api: JetStreamApi;
  readonly #events: RunEvents;
  readonly #deadLetters: DeadLetterWriter;
  readonly #names: WireNames;
  readonly #options: UnservedOptions;
  readonly #logger = new Logger('UnroutableCommands');
  /** Subjects that wait, and when their oldest command has waited for long enough; 0: to be looked up. */
  readonly #dueAtMs = new Map<string, { readonly address: RunAddress; dueAtMs: number }>();
  readonly #pointed = new RecentKeys(POINTED);
  #left = 0;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #news = 0;
  #deadLettered = 0;

  constructor(api: JetStreamApi, events: RunEvents, deadLetters: DeadLetterWriter, names: WireNames, options: UnservedOptions) {
    this.#api = api;
    this.#events = events;
    this.#deadLetters = deadLetters;
    this.#names = names;
    this.#options = options;
  }

  /** Names that are remembered. */
  get size(): number {
    return this.#dueAtMs.size;
  }

  knows(subject: string): boolean {
    return this.#dueAtMs.has(subject);
  }

  /** Does what a sweep came to. @returns commands made dead letters */
  async settle({ known, others, digest }: UnservedSweep, nowMs = this.#api.clock.nowMs()): Promise<number> {
    for (const subject of this.#dueAtMs.keys()) if (!known.has(subject)) this.#dueAtMs.delete(subject);
    const room = Math.max(0, MAX_UNSERVED - this.#dueAtMs.size);
    for (const { subject, address } of others.slice(0, room)) this.#dueAtMs.set(subject, { address, dueAtMs: 0 });
    this.#news += Math.min(room, others.length);
    this.#left = PER_SWEEP;
    const before = this.#deadLettered;
    try {
      await inGroups(others.slice(room), ({ subject, address }) => this.#deadLetterUntil(subject, address, nowMs));
      const due = [...this.#dueAtMs].filter(([, { dueAtMs }]) => dueAtMs <= nowMs);
      await inGroups(due, ([subject, entry]) => this.#look(subject, entry, nowMs));
    } finally {
      this.#tell(digest);
    }
    return this.#deadLettered - before;
  }

  /** When the oldest command of a name is due; those that are, become dead letters. */
  async #look(subject: string, entry: { readonly address: RunAddress; dueAtMs: number }, nowMs: number): Promise<void> {
    const { afterMs } = this.#options;
    const oldest = this.#left > 0 ? await this.#api.get(this.#names.streams.runs, { next: subject, sequence: 1 }) : undefined;
    if (oldest === undefined) return;
    entry.dueAtMs = oldest.timeMs + afterMs;
    if (entry.dueAtMs <= nowMs) await this.#deadLetterUntil(subject, entry.address, nowMs - afterMs);
  }

  async #deadLetterUntil(subject: string, address: RunAddress, untilMs: number): Promise<void> {
    if (this.#left <= 0 || this.#pointed.has(subject, monotonicMs() - POINTED_MS)) return;
    const { runs } = this.#names.streams;
    // A worker may have come since the list was read.
    if (await this.#api.findConsumer(runs, this.#names.durable(address))) return;
    for (let from = 1; this.#left > 0;) {
      const stored = await this.#api.getFromLeader(runs, { next: subject, sequence: from });
      if (!stored || stored.timeMs > untilMs) return;
      from = stored.sequence + 1;
      this.#left--;
      if (await this.#deadLetter(address, stored)) this.#deadLettered++;
      else this.#pointed.add(subject, monotonicMs());
    }
  }

  /** @returns whether the command is gone from the stream */
  async #deadLetter(address: RunAddress, stored: StoredMessage): Promise<boolean> {
    const { runs } = this.#names.streams;
    const { sequence, data, headers } = stored;
    const { runId, userId, reason, error } = identify(address, stored, this.#options.trustOf(address.workspace));
    const time = this.#api.clock.isoNow();
    const user = userId === undefined ? {} : { userId };
    const end = await this.#events.end(address, runId);
    const last = end?.event;
    // What has ended otherwise, such as a run that was canceled, needs no letter.
    if (last && isOutcome(last.type) && last.type !== 'failed') return this.#remove(sequence);
    if (last?.type !== 'failed') {
      const told = { code: error.code, name: error.name, message: error.message };
      const failed: RunEvent = { type: 'failed', at: time, attempt: 0, sequence, error: told, ...user };
      try {
        await this.#events.append(address, runId, end?.sequence ?? 0, failed);
      } catch (cause) {
        if (cause instanceof FencedError) return false;
        throw cause;
      }
    }
    const facts = factsOfCommand(stored, { runId, userId }, reason, error, { stream: runs, time });
    const form = await this.#deadLetters.write(address, { data, headers }, facts);
    const failedAtMs = last === undefined ? Number.NaN : Date.parse(last.at);
    if (form === 'pointer' && !(this.#api.clock.nowMs() - failedAtMs > this.#options.keepMs)) return false;
    return this.#remove(sequence);
  }

  async #remove(sequence: number): Promise<true> {
    await this.#api.remove(this.#names.streams.runs, sequence);
    return true;
  }

  /** At most once a minute, whatever is sent. */
  #tell(digest: Digest): void {
    if (this.#news + this.#deadLettered === 0 || performance.now() - this.#toldAtMs < 60_000) return;
    this.#toldAtMs = performance.now();
    if (digest.names > 0 && this.#news > 0) {
      const ask = digest.names === 1 ? 'is the name right?' : 'are the names right?';
      this.#logger.warn(`Commands wait for ${shownNames(digest)}, which no worker has ever served: ${ask}`);
    }
    if (this.#deadLettered > 0) {
      this.#logger.warn(`Made ${this.#deadLettered} commands dead letters (unroutable): no worker has ever served their workflows`);
    }
    this.#news = this.#deadLettered = 0;
  }
}

interface Unserved {
  readonly runId: string;
  readonly userId?: string | undefined;
  readonly reason: DeadReason;
  readonly error: LoopstackError;
}

/**
 * The run of a command, and why it fails. One that a worker would refuse is the run of its place in the stream: a producer that is not trusted
 * must not end the run whose id is claimed.
 */
function identify(address: RunAddress, stored: StoredMessage, trust: ResolvedTrust | undefined): Unserved {
  const { subject, sequence, timeMs, data, headers } = stored;
  const placed = sequenceRunId(timeMs, sequence);
  const distrusted = trust && untrustedReason({ subject, lines: headers.lines(), data, timeMs }, trust);
  if (distrusted !== undefined)
    return { runId: placed, reason: 'untrusted', error: new LoopstackError('UNTRUSTED', { reason: distrusted }) };
  const unserved = { reason: 'unroutable', error: new LoopstackError('WORKFLOW_UNSERVED', { ...address }) } as const;
  try {
    const { userId, idempotencyKey } = decodeRunCommand(data, headers);
    return { ...unserved, runId: runIdOf(address, stored, headers.get(HEADER.RUN_ID), idempotencyKey), userId };
  } catch {
    return { ...unserved, runId: placed };
  }
}

async function inGroups<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let i = 0; i < items.length; i += AT_ONCE) await Promise.all(items.slice(i, i + AT_ONCE).map(work));
}

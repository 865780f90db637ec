import { LoopstackError, printable, sequenceRunId, monotonicMs, type WireNames } from '@loopstack/shared';
import { factsOfCommand } from '@loopstack/core';
import { Logger } from '@nestjs/common';
import type { DeadLetterWriter } from '../worker/outcome/dead-letter-writer.js';
import type { Alarms } from '../health/health.js';
import { consumerNames, subjectPages, type JetStreamApi, type StoredMessage } from '@loopstack/jetstream';
import { RecentKeys } from './recent-keys.js';
import { UnservedSweep, type UnservedCommandKeeper } from './unserved.js';

/** Workspace and workflow under which dead letters are kept of commands whose own names the grammar refuses. */
const REFUSED = { workspace: 'invalid', workflow: 'invalid' } as const;
const ALARM = 'unroutable';
/** A subject whose letters point to what it holds is looked at again after this; so many are remembered. */
const KEPT_MS = 60_000;
const KEPT = 4096;
/** Commands that are looked at in one sweep, and subjects that the log names. */
const PER_SWEEP = 2000;
const NAMED = 5;
/** Reading the list takes at most this part of the time, however long it is. */
const SHARE = 1 / 20;

/**
 * Commands on subjects that the stream captures and no workflow's consumer sees; this finds them by the stream's list of subjects.
 * Of those that the grammar refuses (the server stores wildcards, NUL and emoji without complaint) it makes dead letters, and removes them
 * from the queue. One that is too large for a letter stays, and its letter points to it. Any number of workers may do so at once.
 */
export class UnroutableCommands {
  readonly #api: JetStreamApi;
  readonly #deadLetters: DeadLetterWriter;
  readonly #names: WireNames;
  readonly #alarms: Alarms;
  readonly #unserved: UnservedCommandKeeper;
  readonly #logger = new Logger(UnroutableCommands.name);
  /** Subjects that hold what letters point to, and when they were looked at. */
  readonly #kept = new RecentKeys(KEPT);
  #restUntilMs = 0;
  #left = 0;

  constructor(api: JetStreamApi, deadLetters: DeadLetterWriter, names: WireNames, alarms: Alarms, unserved: UnservedCommandKeeper) {
    this.#api = api;
    this.#deadLetters = deadLetters;
    this.#names = names;
    this.#alarms = alarms;
    this.#unserved = unserved;
  }

  /** Raises an alarm while one cannot become a dead letter; the others do. @returns commands made dead letters */
  async sweep(): Promise<number> {
    const began = performance.now();
    if (began < this.#restUntilMs) return 0;
    const { streams, prefix } = this.#names;
    // Who may not ask cannot know.
    const durables = await consumerNames(this.#api, streams.runs).catch(() => undefined);
    const unserved = new UnservedSweep();
    const refused: string[] = [];
    for (const head of ['run', 'lane']) {
      for await (const page of subjectPages(this.#api, streams.runs, `${prefix}.${head}.>`)) {
        for (const [subject, count] of page) {
          const address = this.#names.parseRun(subject);
          if (!address) {
            if (refused.length < PER_SWEEP && !this.#kept.has(subject, monotonicMs() - KEPT_MS)) refused.push(subject);
          } else if (durables && !durables.has(this.#names.durable(address))) {
            unserved.add({ subject, address, count }, this.#unserved.knows(subject));
          }
        }
      }
    }
    this.#restUntilMs = performance.now() + (performance.now() - began) / SHARE;
    const deadLettered = await this.#deadLetterRefused(refused);
    const settled = durables === undefined ? 0 : await this.#unserved.settle(unserved);
    return deadLettered + settled;
  }

  async #deadLetterRefused(subjects: readonly string[]): Promise<number> {
    this.#left = PER_SWEEP;
    let total = 0;
    const failures: string[] = [];
    const named: string[] = [];
    let others = 0;
    for (const subject of subjects) {
      const deadLettered = await this.#deadLetterAll(subject, failures);
      total += deadLettered;
      if (deadLettered > 0 && named.length < NAMED) named.push(printable(subject, 200));
      else if (deadLettered > 0) others++;
    }
    const [first] = failures;
    if (first === undefined) this.#alarms.clear(ALARM);
    else
      this.#alarms.raise(
        ALARM,
        `commands that no workflow takes cannot be dead-lettered: ${first}${failures.length > 1 ? ' (and others)' : ''}`,
      );
    if (total > 0) {
      const more = others > 0 ? ` and ${others} other subjects` : '';
      this.#logger.warn(`Buried ${total} commands on ${named.join(', ')}${more}: the subject is no run command`);
    }
    return total;
  }

  async #deadLetterAll(subject: string, failures: string[]): Promise<number> {
    const { runs } = this.#names.streams;
    let deadLettered = 0;
    const failed = (error: unknown, where = ''): void => {
      if (failures.length < 2) failures.push(`${where}${printable((error as Error).message, 300)}`);
    };
    try {
      for (let from = 1; this.#left > 0;) {
        const stored = await this.#api.getFromLeader(runs, { next: subject, sequence: from });
        if (!stored) break;
        from = stored.sequence + 1;
        this.#left--;
        // A subject with a wildcard in it matches others as a filter: each message is asked for its own subject.
        if (stored.subject !== subject) continue;
        await this.#deadLetter(stored).then(
          () => deadLettered++,
          (error: unknown) => failed(error, `${stored.sequence}: `),
        );
      }
    } catch (error) {
      failed(error);
    }
    return deadLettered;
  }

  async #deadLetter(stored: StoredMessage): Promise<void> {
    const { subject, sequence, timeMs, headers, data } = stored;
    const { runs } = this.#names.streams;
    const error = new LoopstackError('NAME_INVALID', { what: 'subject', value: printable(JSON.stringify(subject), 200) });
    const run = { runId: sequenceRunId(timeMs, sequence) };
    const facts = factsOfCommand(stored, run, 'invalid', error, { stream: runs, time: this.#api.clock.isoNow() });
    const form = await this.#deadLetters.write(REFUSED, { data, headers }, facts);
    if (form === 'pointer') this.#kept.add(subject, monotonicMs());
    else await this.#api.remove(runs, sequence);
  }
}

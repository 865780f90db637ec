import { LoopstackError, printable, sequenceRunId, type RunAddress, type WireNames } from '@loopstack/shared';
import { Logger } from '@nestjs/common';
import type { DeadLetterWriter } from './dead-letter-writer.js';
import type { Alarms } from './health.js';
import { API, JetStreamApiError, type JetStreamApi, type StoredMessage } from './jetstream-api.js';

/** Workspace and workflow under which commands are buried whose own names the grammar refuses. */
const STRAY = { workspace: 'invalid', workflow: 'invalid' } as const;
const ALARM = 'strays';
/** A subject whose letters point to what it holds is looked at again after this. */
const KEPT_MS = 60_000;

/**
 * Commands on subjects that the stream captures and the grammar refuses (the server stores wildcards, NUL and emoji
 * without complaint). No workflow's consumer sees them; this finds them by the stream's list of subjects, makes dead
 * letters of them, and removes them from the queue. One that is too large for a letter stays, and its letter points to it.
 * Any number of workers may do so at once. Commands for a workflow that nobody serves stay where they are, since a worker
 * may come: they are told of.
 */
export class Strays {
  readonly #logger = new Logger(Strays.name);
  /** Subjects that are known to be served, or that were told of. */
  readonly #known = new Set<string>();
  /** Subjects that hold what letters point to, and when they were looked at. */
  readonly #keptAtMs = new Map<string, number>();

  constructor(
    private readonly api: JetStreamApi,
    private readonly deadLetters: DeadLetterWriter,
    private readonly names: WireNames,
    private readonly alarms: Alarms,
  ) {}

  /** Raises an alarm while one cannot be buried; the others are. @returns commands buried */
  async sweep(): Promise<number> {
    let buried = 0;
    const failures: string[] = [];
    for (const head of ['run', 'lane']) {
      const subjects = await this.api.subjects(this.names.streams.runs, `${this.names.prefix}.${head}.>`);
      for (const [subject, count] of subjects) {
        const address = this.names.parseRun(subject);
        if (!address) buried += await this.buryAll(subject, failures);
        else if (!this.#known.has(subject)) await this.tellOfUnserved(subject, address, count);
      }
    }
    const [first, ...more] = failures;
    if (first === undefined) this.alarms.clear(ALARM);
    else this.alarms.raise(ALARM, `commands that no workflow takes cannot be buried: ${first}${more.length > 0 ? ' (and others)' : ''}`);
    return buried;
  }

  /** A workflow without a consumer was never served: its worker is still to come, or its name is wrong. Told once. */
  private async tellOfUnserved(subject: string, address: RunAddress, count: number): Promise<void> {
    this.#known.add(subject);
    // Who may not ask cannot know.
    const served = await this.api.findConsumer(this.names.streams.runs, this.names.durable(address)).catch(() => true);
    if (served) return;
    const { workspace, workflow } = address;
    this.#logger.warn(`Commands wait for ${workspace}.${workflow} (${count} so far), which no worker has ever served: is the name right?`);
  }

  private async buryAll(subject: string, failures: string[]): Promise<number> {
    if (Date.now() - (this.#keptAtMs.get(subject) ?? 0) < KEPT_MS) return 0;
    this.#keptAtMs.delete(subject);
    const { runs } = this.names.streams;
    let buried = 0;
    const failed = (error: unknown, where = ''): void => {
      failures.push(`${where}${printable((error as Error).message, 300)}`);
    };
    try {
      for (let from = 1; ;) {
        const stored = await this.api.leaderNext(runs, subject, from);
        if (!stored) break;
        from = stored.sequence + 1;
        // A subject with a wildcard in it matches others as a filter: each message is asked for its own subject.
        if (stored.subject !== subject) continue;
        await this.bury(stored).then(
          () => buried++,
          (error: unknown) => failed(error, `${stored.sequence}: `),
        );
      }
    } catch (error) {
      failed(error);
    }
    if (buried > 0) this.#logger.warn(`Buried ${buried} commands on ${printable(subject, 200)}: the subject is no run command`);
    return buried;
  }

  private async bury({ subject, sequence, timeMs, headers, data }: StoredMessage): Promise<void> {
    const { runs } = this.names.streams;
    const error = new LoopstackError('NAME_INVALID', { what: 'subject', value: printable(JSON.stringify(subject), 200) });
    const form = await this.deadLetters.write(
      STRAY,
      { data, headers },
      {
        reason: 'invalid',
        code: error.code,
        message: error.message,
        attempts: 0,
        runId: sequenceRunId(timeMs, sequence),
        stream: runs,
        sequence,
        subject,
        time: new Date().toISOString(),
      },
    );
    if (form === 'pointer') {
      this.#keptAtMs.set(subject, Date.now());
      return;
    }
    await this.api.request(`STREAM.MSG.DELETE.${runs}`, { seq: sequence, no_erase: true }).catch((cause: unknown) => {
      if (!(cause instanceof JetStreamApiError && cause.errCode === API.NO_MESSAGE)) throw cause;
    });
  }
}

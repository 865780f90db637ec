import type { Publisher } from '@loopstack/client';
import { HEADER, LoopstackError, deadLetterHeaders, printable, sequenceRunId, type RunAddress, type WireNames } from '@loopstack/shared';
import { Logger } from '@nestjs/common';
import { API, JetStreamApiError, originalHeaders, type JetStreamApi } from './jetstream-api.js';
import { MessageHeaders } from './message-headers.js';

/** Workspace and workflow under which commands are buried whose own names the grammar refuses. */
const STRAY = { workspace: 'invalid', workflow: 'invalid' } as const;

/**
 * Commands on subjects that the stream captures and the grammar refuses (the server stores wildcards, NUL and emoji
 * without complaint). No workflow's consumer sees them; this finds them by the stream's list of subjects, makes dead
 * letters of them, and removes them from the queue. Any number of workers may do so at once. Commands for a workflow that nobody
 * serves stay where they are, since a worker may come: they are told of.
 */
export class Strays {
  readonly #logger = new Logger(Strays.name);
  /** Subjects that are known to be served, or that were told of. */
  readonly #known = new Set<string>();

  constructor(
    private readonly api: JetStreamApi,
    private readonly publisher: Publisher,
    private readonly names: WireNames,
  ) {}

  /** @returns commands buried */
  async sweep(): Promise<number> {
    let buried = 0;
    for (const head of ['run', 'lane']) {
      const subjects = await this.api.subjects(this.names.streams.runs, `${this.names.prefix}.${head}.>`);
      for (const [subject, count] of subjects) {
        const address = this.names.parseRun(subject);
        if (!address) buried += await this.buryAll(subject);
        else if (!this.#known.has(subject)) await this.tellOfUnserved(subject, address, count);
      }
    }
    return buried;
  }

  /** A workflow without a consumer was never served: its worker is still to come, or its name is wrong. Told once. */
  private async tellOfUnserved(subject: string, address: RunAddress, count: number): Promise<void> {
    this.#known.add(subject);
    const error = await this.api
      .consumerInfo(this.names.streams.runs, this.names.durable(address, 'normal'))
      .catch((cause: unknown) => cause);
    if (!(error instanceof JetStreamApiError) || error.errCode !== API.CONSUMER_NOT_FOUND) return;
    const { workspace, workflow } = address;
    this.#logger.warn(`Commands wait for ${workspace}.${workflow} (${count} so far), which no worker has ever served: is the name right?`);
  }

  private async buryAll(subject: string): Promise<number> {
    const { runs } = this.names.streams;
    let buried = 0;
    // A subject with a wildcard in it would match others as a filter: each message is asked for its own subject.
    for await (const stored of this.api.scan(runs, subject)) {
      if (stored.subject !== subject) continue;
      const error = new LoopstackError('NAME_INVALID', { what: 'subject', value: printable(JSON.stringify(subject), 200) });
      const facts = {
        reason: 'invalid' as const,
        code: error.code,
        message: error.message,
        attempts: 0,
        runId: sequenceRunId(stored.timeMs, stored.sequence),
        stream: runs,
        sequence: stored.sequence,
        subject,
        time: new Date().toISOString(),
      };
      const headers = deadLetterHeaders(facts, new MessageHeaders(originalHeaders(stored.headers)));
      await this.publisher.publish(this.names.dead(STRAY), stored.data, { ...headers, [HEADER.MSG_ID]: `dead:${runs}:${stored.sequence}` });
      await this.api.request(`STREAM.MSG.DELETE.${runs}`, { seq: stored.sequence, no_erase: true }).catch((cause: unknown) => {
        if (!(cause instanceof JetStreamApiError && cause.errCode === API.NO_MESSAGE)) throw cause;
      });
      buried++;
    }
    this.#logger.warn(`Buried ${buried} commands on ${printable(subject, 200)}: the subject is no run command`);
    return buried;
  }
}

import type { WireNames } from '@loopstack/shared';
import { Logger } from '@nestjs/common';
import type { ConsumerInfo, JetStreamApi } from './jetstream-api.js';

/** A subject and the durable that works it off. */
export interface Trimmed {
  readonly subject: string;
  readonly durable: string;
}

/**
 * The first sequence of a subject that must stay: nothing that its consumer has not acknowledged goes, nor what is
 * younger than the time for which executed commands are kept. Pure.
 * @param ackFloor everything up to it is acknowledged, in the sequence of the stream
 * @param firstYoung first sequence that is younger than the time to keep; undefined: all are older
 */
export function keepFrom(ackFloor: number, firstYoung: number | undefined): number {
  return Math.min(ackFloor + 1, firstYoung ?? Number.MAX_SAFE_INTEGER);
}

/**
 * Trims executed commands, and only those: the runs stream has no age limit, because an age knows nothing of a queue
 * that is worked off late. Any number of workers may trim at once; a purge is idempotent.
 */
export class RetentionKeeper {
  readonly #logger = new Logger(RetentionKeeper.name);

  constructor(
    private readonly api: JetStreamApi,
    private readonly names: WireNames,
    private readonly keepExecutedMs: number,
  ) {}

  /** @returns commands trimmed */
  async trim(targets: readonly Trimmed[], nowMs = Date.now()): Promise<number> {
    let trimmed = 0;
    for (const target of targets) trimmed += await this.trimSubject(target, nowMs);
    if (trimmed > 0) this.#logger.log(`Trimmed ${trimmed} executed commands`);
    return trimmed;
  }

  private async trimSubject({ subject, durable }: Trimmed, nowMs: number): Promise<number> {
    const stream = this.names.streams.runs;
    // The floor first: what is acknowledged after it is read is kept until the next time.
    const info: ConsumerInfo = await this.api.consumerInfo(stream, durable);
    const since = new Date(nowMs - this.keepExecutedMs).toISOString();
    const young = await this.api.direct(`DIRECT.GET.${stream}`, { start_time: since, next_by_subj: subject, batch: 1 });
    const keep = keepFrom(info.ack_floor.stream_seq, young?.sequence);
    if (keep <= 1) return 0;
    const { purged } = await this.api.request<{ purged: number }>(`STREAM.PURGE.${stream}`, { filter: subject, seq: keep });
    return purged;
  }
}

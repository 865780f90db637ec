import { PRIORITIES, type Priority, type RunAddress, type WireNames } from '@loopstack/shared';
import { Logger } from '@nestjs/common';
import { filterOf, lanesFrom } from '@loopstack/operations';
import type { ConsumerInfo, JetStreamApi } from '@loopstack/jetstream';

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
 * Everything up to it is acknowledged by each durable that takes the subject; undefined where none does, or where nothing of
 * the workflow may be trimmed: for a purge of its subject the server forgets what a durable has delivered of other subjects,
 * which is what one has that was split (docs/adr/0011). Pure.
 * @param main the durable that has the name of the workflow
 */
export function floorOf(subject: string, main: ConsumerInfo | undefined, lanes: readonly ConsumerInfo[]): number | undefined {
  if (main && main.num_ack_pending > 0 && main.ack_floor.stream_seq + 1 < (lanesFrom(main.config) ?? 0)) return undefined;
  const taking = (main ? [main, ...lanes] : lanes).filter(({ config }) => filterOf(config).includes(subject));
  return taking.length === 0 ? undefined : Math.min(...taking.map((info) => info.ack_floor.stream_seq));
}

/**
 * Trims executed commands, and only those: the runs stream has no age limit, because an age knows nothing of a queue
 * that is worked off late. Any number of workers may trim at once; a purge is idempotent.
 */
export class RetentionKeeper {
  readonly #api: JetStreamApi;
  readonly #names: WireNames;
  readonly #keepExecutedMs: number;
  readonly #logger = new Logger(RetentionKeeper.name);

  constructor(api: JetStreamApi, names: WireNames, keepExecutedMs: number) {
    this.#api = api;
    this.#names = names;
    this.#keepExecutedMs = keepExecutedMs;
  }

  /** @returns commands trimmed */
  async trim(workflows: readonly RunAddress[], nowMs = this.#api.clock.nowMs()): Promise<number> {
    let trimmed = 0;
    for (const workflow of workflows) trimmed += await this.#trimWorkflow(workflow, nowMs);
    if (trimmed > 0) this.#logger.log(`Trimmed ${trimmed} executed commands`);
    return trimmed;
  }

  async #trimWorkflow(workflow: RunAddress, nowMs: number): Promise<number> {
    const find = (priority: Priority): Promise<ConsumerInfo | undefined> =>
      this.#api.findConsumer(this.#names.streams.runs, this.#names.durable(workflow, priority));
    // The floors first: what is acknowledged after they are read is kept until the next time.
    const [high, main, low] = await Promise.all([find('high'), find('normal'), find('low')]);
    const lanes = [high, low].filter((info) => info !== undefined);
    let trimmed = 0;
    for (const priority of PRIORITIES) {
      const subject = this.#names.run(workflow, priority);
      const floor = floorOf(subject, main, lanes);
      if (floor !== undefined) trimmed += await this.#trimSubject(subject, floor, nowMs);
    }
    return trimmed;
  }

  async #trimSubject(subject: string, floor: number, nowMs: number): Promise<number> {
    const stream = this.#names.streams.runs;
    const since = new Date(nowMs - this.#keepExecutedMs);
    const young = await this.#api.get(stream, { next: subject, since });
    const keep = keepFrom(floor, young?.sequence);
    if (keep <= 1) return 0;
    const { purged } = await this.#api.request<{ purged: number }>(`STREAM.PURGE.${stream}`, { filter: subject, seq: keep });
    return purged;
  }
}

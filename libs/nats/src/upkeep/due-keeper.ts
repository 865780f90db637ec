import type { WireNames } from '@loopstack/shared';
import type { JetStreamApi } from '@loopstack/jetstream';

/** What the stream of runs has taken of the stream of schedules, and when that was seen. */
export interface Taken {
  readonly upTo: number;
  readonly atMs: number;
}

/**
 * The first sequence of due commands that must stay; undefined: all. What was taken may be written by a leader that dies before others
 * have it, and would be taken again then: so the rest goes that was taken a while ago, and is still. The last one stays, since it may be
 * refused by a stream that is full. Pure.
 */
export function dueFrom(before: Taken | undefined, now: Taken, marginMs: number): number | undefined {
  if (before === undefined || now.atMs - before.atMs < marginMs || now.upTo < before.upTo) return undefined;
  return before.upTo > 1 ? before.upTo : undefined;
}

/**
 * Removes due commands that the stream of runs has taken. Where the server does not tell how far that is (2.15 does, once it has taken one
 * since its start), they go by their age.
 */
export class DueKeeper {
  readonly #api: JetStreamApi;
  readonly #names: WireNames;
  readonly #marginMs: number;
  #before: Taken | undefined;

  constructor(api: JetStreamApi, names: WireNames, marginMs: number) {
    this.#api = api;
    this.#names = names;
    this.#marginMs = marginMs;
  }

  /** @returns commands removed */
  async trim(nowMs = performance.now()): Promise<number> {
    const { runs, schedules } = this.#names.streams;
    const { sources } = await this.#api.streamInfo(runs);
    const upTo = sources?.find(({ name }) => name === schedules)?.seq;
    if (upTo === undefined) {
      this.#before = undefined;
      return 0;
    }
    const now = { upTo, atMs: nowMs };
    const from = dueFrom(this.#before, now, this.#marginMs);
    if (this.#before === undefined || upTo < this.#before.upTo || now.atMs - this.#before.atMs >= this.#marginMs) this.#before = now;
    if (from === undefined) return 0;
    const filter = `${this.#names.prefix}.due.>`;
    const { purged } = await this.#api.request<{ purged: number }>(`STREAM.PURGE.${schedules}`, { filter, seq: from });
    return purged;
  }
}

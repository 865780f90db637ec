import {
  answersTo,
  eventBefore,
  ERR_CODE,
  JetStreamApiError,
  type Publisher,
  type HistoryEnd,
  type JetStreamApi,
} from '@loopstack/jetstream';
import {
  HEADER,
  LoopstackError,
  decodeRunEvent,
  encodeRunEvent,
  isOutcome,
  monotonicMs,
  type Priority,
  type RunAddress,
  type RunEvent,
  type WireNames,
} from '@loopstack/shared/contract';
import type { ReplayOutcome } from '../request.js';

/** A run as a replay asks for it. */
export interface AskedRun extends RunAddress {
  readonly runId: string;
}

/** A batched direct get answers at most 1,024 subjects (NATS ADR-31). */
const AT_ONCE = 1000;
const TIMEOUT_MS = 10_000;
/** Bounds what one answer holds in memory. */
const MAX_BYTES = 8 * 1024 * 1024;
/** How long the state of a workflow's queue is believed. */
const QUEUE_AGE_MS = 1000;
/** Durables whose floors are remembered: a stream may hold commands for any number of names. */
const KEPT_FLOORS = 4096;

const encoder = new TextEncoder();

/**
 * Whether a run has this outcome, from its last event. Pure.
 * @param sequence of the command in the runs stream: of two commands of one run only the one that recorded its outcome counts
 * @param queued the command waits in its queue
 */
export function hasOutcome(outcome: ReplayOutcome, last: RunEvent | undefined, sequence: number, queued: boolean): boolean {
  if (last?.sequence !== undefined && last.sequence !== sequence) return false;
  if (outcome !== 'never-ran') return last?.type === outcome;
  if (queued) return false;
  return last === undefined || (last.attempt === 0 && (last.type === 'queued' || last.type === 'expired' || last.type === 'canceled'));
}

/** Reads the histories of many runs at a time from the events stream, and opens runs that have ended. */
export class RunHistories {
  readonly #api: JetStreamApi;
  readonly #publisher: Publisher;
  readonly #names: WireNames;
  readonly #floors = new Map<string, { readonly floor: number | undefined; readonly atMs: number }>();

  constructor(api: JetStreamApi, publisher: Publisher, names: WireNames) {
    this.#api = api;
    this.#publisher = publisher;
    this.#names = names;
  }

  /** The end of the history of each run that has one, by the subject of its events. @throws JetStreamApiError */
  async last(runs: readonly AskedRun[]): Promise<ReadonlyMap<string, HistoryEnd>> {
    const found = new Map<string, HistoryEnd>();
    for (let from = 0; from < runs.length; from += AT_ONCE) {
      const subjects = [...new Set(runs.slice(from, from + AT_ONCE).map((run) => this.subject(run)))];
      await this.#read(subjects, found);
    }
    return found;
  }

  subject(run: AskedRun): string {
    return this.#names.event(run, run.runId);
  }

  /** The server ends an answer at a number of bytes, too: what is left is asked for again. */
  async #read(subjects: readonly string[], found: Map<string, HistoryEnd>): Promise<void> {
    const left = new Set(subjects);
    for (let more = true; more && left.size > 0;) {
      const before = left.size;
      more = await this.#readSome(left, found);
      if (more && left.size === before) throw new JetStreamApiError(0, `last events: nothing of ${before} was answered`);
    }
  }

  /** @param left subjects; those that are answered are taken out @returns whether there are more */
  async #readSome(left: Set<string>, found: Map<string, HistoryEnd>): Promise<boolean> {
    const path = `DIRECT.GET.${this.#names.streams.events}`;
    const query = encoder.encode(JSON.stringify({ multi_last: [...left], batch: left.size, max_bytes: MAX_BYTES }));
    const answers = await answersTo(this.#api.nc, `${this.#api.prefix}.${path}`, query, TIMEOUT_MS);
    let more: boolean | undefined;
    /** Subjects whose last message is no event. */
    const strange = new Map<string, number>();
    let answered = 0;
    for await (const { headers, data } of answers) {
      answered++;
      const code = headers?.has('Nats-Sequence') ? 0 : (headers?.code ?? 0);
      if (code === 404 || code === 204) more = Number(headers?.get('Nats-Num-Pending')) > 0;
      else if (code >= 300) throw new JetStreamApiError(code, `${path}: ${headers?.description ?? 'refused'}`);
      else if (headers) {
        const subject = headers.last('Nats-Subject');
        left.delete(subject);
        const sequence = Number(headers.last('Nats-Sequence'));
        const event = decodeRunEvent(data);
        if (event) found.set(subject, { event: withoutValues(event), sequence });
        else strange.set(subject, sequence);
      }
    }
    // A message without a body ends the answers, too: what is left is asked for again.
    if (more === undefined && answered > 0) more = true;
    if (more === undefined) throw new JetStreamApiError(0, `${path}: no answer within ${TIMEOUT_MS} ms`);
    for (const [subject, sequence] of strange) {
      const before = await eventBefore(this.#api, this.#names.streams.events, subject, sequence);
      found.set(subject, { event: before && withoutValues(before.event), sequence });
    }
    return more;
  }

  /** Whether a command still waits in its workflow's queue: it is not acknowledged, or nothing has ever taken from the queue. */
  async isQueued(address: RunAddress, priority: Priority, sequence: number): Promise<boolean> {
    const floor = (await this.#floor(this.#names.durable(address, priority))) ?? (await this.#floor(this.#names.durable(address)));
    return floor !== undefined && sequence > floor;
  }

  async #floor(durable: string): Promise<number | undefined> {
    const known = this.#floors.get(durable);
    if (known && monotonicMs() - known.atMs < QUEUE_AGE_MS) return known.floor;
    const floor = (await this.#api.findConsumer(this.#names.streams.runs, durable))?.ack_floor.stream_seq;
    if (this.#floors.size >= KEPT_FLOORS) this.#floors.clear();
    this.#floors.set(durable, { floor, atMs: monotonicMs() });
    return floor;
  }

  /**
   * Records that runs are queued again, before their commands are: a worker that gets a command at once must not find
   * the old outcome standing. Runs that have not ended are left alone.
   * @param runs with a token that says which command of which replay opens each, so that it is opened once however often this is done
   * @returns the indexes of the runs that are open now for their token
   */
  async reopen(runs: readonly (AskedRun & { readonly token: string })[]): Promise<ReadonlySet<number>> {
    const last = await this.last(runs);
    const open = new Set<number>();
    const at = this.#api.clock.isoNow();
    const work = runs.map(async (run, index) => {
      const before = last.get(this.subject(run));
      if (before?.event?.type === 'queued' && before.event.replay === run.token) {
        open.add(index);
        // It may have been interrupted before the notice was gone.
        return this.#forgetCancel(run);
      }
      if (before?.event && !isOutcome(before.event.type)) return;
      const event = encodeRunEvent({ type: 'queued', at, attempt: 0, replay: run.token });
      try {
        await this.#publisher.publish(this.subject(run), event, { [HEADER.EXPECTED_LAST_SUBJECT_SEQUENCE]: String(before?.sequence ?? 0) });
        open.add(index);
        if (before?.event?.type === 'canceled') await this.#forgetCancel(run);
      } catch (error) {
        // Another writer has moved the run on.
        if (!(error instanceof LoopstackError) || error.details['errCode'] !== ERR_CODE.WRONG_LAST_SEQUENCE) throw error;
      }
    });
    await Promise.all(work);
    return open;
  }

  /**
   * Takes back the notice of a cancel, which workers would go by although the run is open again. A courtesy to those
   * that hold it against the run's last event; where purging is not permitted, it is left.
   */
  async #forgetCancel(run: AskedRun): Promise<void> {
    const filter = this.#names.cancel(run, run.runId);
    await this.#api.request(`STREAM.PURGE.${this.#names.streams.events}`, { filter }).catch((error: unknown) => {
      if (!(error instanceof JetStreamApiError)) throw error;
    });
  }
}

/** A thousand results are too large to be kept, and say nothing about what became of a run. */
function withoutValues({ result: _result, progress: _progress, ...event }: RunEvent): RunEvent {
  return event;
}

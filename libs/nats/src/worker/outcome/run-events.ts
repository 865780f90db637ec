import type { PreparedRun } from '@loopstack/core';
import {
  ERR_CODE,
  JetStreamApiError,
  headerBlock,
  historyEndAt,
  type HistoryEnd,
  type Publisher,
  type ServerClock,
  type JetStreamApi,
  type StoredEnd,
  type StoredMessage,
} from '@loopstack/jetstream';
import { HEADER, LoopstackError, decodeRunEvent, encodeRunEvent, type RunAddress, type RunEvent, type WireNames } from '@loopstack/shared';
import { encodeSuccess } from './success-event.js';

/** Thrown by `append` when the subject of the run is not where the caller last saw it; `last` is where it is. */
export class FencedError extends Error {
  override readonly name = 'FencedError';
  constructor(
    message: string,
    readonly last: HistoryEnd | undefined,
  ) {
    super(message);
  }
}

export interface RunEventsOptions {
  readonly names: WireNames;
  /** Of one write. */
  readonly timeoutMs: number;
  /** The name of this worker. */
  readonly worker: string;
  /** The stream does not answer, or is gone. */
  readonly onUnavailable: () => void;
  /** A message that is no event is on the subject of a run. */
  readonly onForeign: (reason: string) => void;
}

/** The events stream as the worker writes and reads it. */
export class RunEvents {
  readonly clock: ServerClock;
  readonly #api: JetStreamApi;
  readonly #publisher: Publisher;
  readonly #options: RunEventsOptions;
  readonly #names: WireNames;
  readonly #workerJson: string;
  #isoOfMs = 0;
  #iso = '';

  constructor(api: JetStreamApi, publisher: Publisher, options: RunEventsOptions) {
    this.clock = api.clock;
    this.#api = api;
    this.#publisher = publisher;
    this.#options = options;
    this.#names = options.names;
    this.#workerJson = JSON.stringify(options.worker);
  }

  /** What happens to a run in this worker. */
  describe(
    type: RunEvent['type'],
    attempt: number,
    { delivery: { sequence }, content }: PreparedRun,
    more: Partial<RunEvent> = {},
  ): RunEvent {
    const { worker } = this.#options;
    return { type, at: this.#isoNow(), attempt, sequence, worker, ...(content === undefined ? {} : { content }), ...more };
  }

  /** That a run has succeeded, with its result as JSON text. */
  describeSuccess(attempt: number, run: PreparedRun, resultJson: string | undefined): Uint8Array {
    return encodeSuccess(run, { at: this.#isoNow(), attempt, workerJson: this.#workerJson, resultJson });
  }

  /** Many outcomes share a millisecond. */
  #isoNow(): string {
    const now = this.clock.nowMs();
    if (now !== this.#isoOfMs) this.#iso = new Date((this.#isoOfMs = now)).toISOString();
    return this.#iso;
  }

  /** What an event may have: the server's `max_payload` without the headers. */
  get maxBytes(): number {
    return (this.#api.nc.info?.max_payload ?? Number.POSITIVE_INFINITY) - MAX_HEADER_BYTES;
  }

  async end(address: RunAddress, runId: string): Promise<HistoryEnd | undefined> {
    return this.#end(await this.#stored(address, runId));
  }

  async #end(last: StoredMessage | undefined): Promise<StoredEnd | undefined> {
    if (!last) return undefined;
    const { events } = this.#names.streams;
    const end = await historyEndAt(this.#api, events, last);
    if (end.eventSequence !== last.sequence) {
      const place = `at ${last.sequence} on ${last.subject}`;
      this.#options.onForeign(
        `${events} has a message that is no run event, ${place}: it is passed over. Find who may publish there (docs/security.md)`,
      );
    }
    return end;
  }

  async #stored(address: RunAddress, runId: string): Promise<StoredMessage | undefined> {
    return this.#api.getFromLeader(this.#names.streams.events, { last: this.#names.event(address, runId) }).catch((error: unknown) => {
      if (error instanceof JetStreamApiError) this.#options.onUnavailable();
      throw error;
    });
  }

  /**
   * Appends an event if the last one of the run has the sequence `expected` (0: there is none). The fence: of two
   * workers with the same command only the first outcome stands.
   * @returns the sequence of the new event
   * @throws FencedError; LoopstackError PUBLISH_…
   */
  append(address: RunAddress, runId: string, expected: number, event: RunEvent): Promise<number> {
    return this.appendBytes(address, runId, expected, encodeRunEvent(event));
  }

  appendBytes(address: RunAddress, runId: string, expected: number, bytes: Uint8Array): Promise<number> {
    return this.store(address, runId, expected, bytes).catch((error: unknown) => this.refused(address, runId, expected, bytes, error));
  }

  /**
   * `appendBytes` on the path of every run, without the promise that looks into errors: `refused` does that. On a slow disk, outcomes share
   * a write. The fence makes it safe to write an event twice, as it is done where the answer is lost with the connection.
   */
  store(address: RunAddress, runId: string, expected: number, bytes: Uint8Array): Promise<number> {
    const block = expected === 0 ? FIRST_EVENT : expectation(expected);
    return this.#publisher.send(this.#names.event(address, runId), bytes, block, this.#options.timeoutMs, SEQUENCE);
  }

  /** What `append` does about the error that `store` rejected with: the second writing of an event is refused where the first one stands. */
  async refused(address: RunAddress, runId: string, expected: number, bytes: Uint8Array, error: unknown): Promise<number> {
    if (error instanceof LoopstackError) {
      if (error.details['errCode'] === ERR_CODE.WRONG_LAST_SEQUENCE) {
        const end = await this.#end(await this.#stored(address, runId));
        if (end?.bytes && Buffer.compare(end.bytes, bytes) === 0) return end.sequence;
        if (end && (onlyStrangersSince(end, expected) || (end.event && isBefore(end.event, bytes))))
          return this.appendBytes(address, runId, end.sequence, bytes);
        throw new FencedError(error.message, end);
      }
      if (error.code === 'PUBLISH_UNAVAILABLE') this.#options.onUnavailable();
    }
    throw error;
  }
}

/** Whether what stands is of the same attempt in the same worker, before this event: the acknowledgement of that one was lost. */
function isBefore(stands: RunEvent, bytes: Uint8Array): boolean {
  const event = decodeRunEvent(bytes);
  if (!event || (stands.type !== 'started' && stands.type !== 'progress')) return false;
  // A command that is given back has not used its attempt.
  const attempt = event.type === 'queued' ? event.attempt + 1 : event.attempt;
  return stands.worker !== undefined && stands.worker === event.worker && stands.sequence === event.sequence && stands.attempt === attempt;
}

/** Whether what came after the last message that the caller knew is no event: no other worker has the run. */
function onlyStrangersSince({ sequence, eventSequence }: StoredEnd, expected: number): boolean {
  return sequence > expected && eventSequence <= expected;
}

/** An expectation, and what makes it one of a batch. */
const MAX_HEADER_BYTES = 512;

const SEQUENCE = { acknowledged: (_: string, sequence: number): number => sequence };

function expectation(sequence: number): Uint8Array {
  return headerBlock(`${HEADER.EXPECTED_LAST_SUBJECT_SEQUENCE}: ${sequence}\r\n`);
}

/** The header block of nearly every outcome. */
const FIRST_EVENT = expectation(0);

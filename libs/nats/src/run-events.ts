import { headerBlock, type Publisher } from '@loopstack/client';
import { HEADER, LoopstackError, decodeRunEvent, encodeRunEvent, type RunAddress, type RunEvent, type WireNames } from '@loopstack/shared';
import { API, JetStreamApiError, type JetStreamApi } from './jetstream-api.js';

export interface RecordedEvent {
  readonly event: RunEvent;
  /** Sequence in the events stream. */
  readonly sequence: number;
}

/** Thrown by `append` when the subject of the run is not where the caller last saw it. */
export class FencedError extends Error {
  override readonly name = 'FencedError';
}

/** The events stream as the worker writes and reads it. */
export class RunEvents {
  constructor(
    private readonly api: JetStreamApi,
    private readonly publisher: Publisher,
    private readonly names: WireNames,
    private readonly timeoutMs: number,
    /** Told when the stream does not answer, or is gone. */
    private readonly missing: () => void = () => undefined,
  ) {}

  /** What an event may have: the server's `max_payload` without the headers. */
  get maxBytes(): number {
    return (this.api.nc.info?.max_payload ?? Number.POSITIVE_INFINITY) - MAX_HEADER_BYTES;
  }

  async last(address: RunAddress, runId: string): Promise<RecordedEvent | undefined> {
    const found = await this.api.lastOf(this.names.streams.events, this.names.event(address, runId)).catch((error: unknown) => {
      if (error instanceof JetStreamApiError) this.missing();
      throw error;
    });
    const event = found && decodeRunEvent(found.data);
    return event && { event, sequence: found.sequence };
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
    return this.store(address, runId, expected, bytes).catch((error: unknown) => {
      throw this.refusal(error);
    });
  }

  /** `appendBytes` on the path of every run, without the promise that translates errors: `refusal` does that. On a slow disk, outcomes share a write. */
  store(address: RunAddress, runId: string, expected: number, bytes: Uint8Array): Promise<number> {
    const block = expected === 0 ? FIRST_EVENT : expectation(expected);
    return this.publisher.send(this.names.event(address, runId), bytes, block, this.timeoutMs, false, SEQUENCE, true);
  }

  /** What `append` throws for what `store` rejected with. */
  refusal(error: unknown): Error {
    if (error instanceof LoopstackError) {
      if (error.details['errCode'] === API.WRONG_LAST_SEQUENCE) return new FencedError(error.message);
      if (error.code === 'PUBLISH_UNAVAILABLE') this.missing();
    }
    return error as Error;
  }
}

/** An expectation, and what makes it one of a batch. */
const MAX_HEADER_BYTES = 512;

const SEQUENCE = { acknowledged: (_: string, sequence: number): number => sequence };

function expectation(sequence: number): Uint8Array {
  return headerBlock(`${HEADER.EXPECTED_LAST_SUBJECT_SEQUENCE}: ${sequence}\r\n`);
}

/** The header block of nearly every outcome. */
const FIRST_EVENT = expectation(0);

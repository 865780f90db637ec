import { headerBlock, API, JetStreamApiError, type PubAck, type Publisher, type JetStreamApi } from '@loopstack/jetstream';
import { HEADER, LoopstackError } from '@loopstack/shared/contract';

/** A command as it is written. */
export interface WrittenCommand {
  readonly subject: string;
  readonly data: Uint8Array;
  /** Header lines, each ended by CRLF. */
  readonly lines: string;
}

/** Another process has gone on with the replay. */
export class TakenOverError extends Error {
  override readonly name = 'TakenOverError';
}

/** One of its message ids is known (server/errors.json): the batch may be stored already. */
export const DUPLICATE_IN_BATCH = 10201;
const COMMIT_TIMEOUT_MS = 10_000;

const decoder = new TextDecoder();

/**
 * Stores commands and the mark of how far a replay is with them, all or none: one atomic batch whose first message is
 * the mark, on the condition that the mark is where this process last saw it. So whatever dies in between, what the last
 * mark says is published is published, and nothing else is; and of two processes with one replay only one goes on. It
 * needs no deduplication window.
 */
export class CommandBatches {
  #markSequence = 0;

  constructor(
    private readonly api: JetStreamApi,
    private readonly publisher: Publisher,
    private readonly stream: string,
    /** Subject of the marks. */
    private readonly subject: string,
  ) {}

  /** Sequence of the last mark; 0: there is none. */
  get markSequence(): number {
    return this.#markSequence;
  }

  /** Reads the last mark from the stream's leader; from here on this process demands that it is the last one. */
  async open(): Promise<string | undefined> {
    const mark = await this.api.lastOf(this.stream, this.subject);
    this.#markSequence = mark?.sequence ?? 0;
    return mark && decoder.decode(mark.data);
  }

  /**
   * @param mark a text that no other batch has
   * @throws TakenOverError; LoopstackError PUBLISH_… and STREAM_FULL: it may or may not be stored, and calling this again
   *   with the same mark stores it once
   */
  async commit(commands: readonly WrittenCommand[], mark: string): Promise<void> {
    const expected = this.#markSequence;
    try {
      const { sequence } = await this.#write(commands, Buffer.from(mark), expected);
      this.#markSequence = sequence - commands.length;
    } catch (error) {
      const code = error instanceof LoopstackError ? error.details['errCode'] : undefined;
      if (code !== API.WRONG_LAST_SEQUENCE && code !== DUPLICATE_IN_BATCH) throw error;
      // Somebody has moved the mark: this very batch, whose acknowledgement was lost, or another process.
      const stored = await this.open();
      if (stored === mark) return;
      this.#markSequence = expected;
      if (code === DUPLICATE_IN_BATCH) throw error;
      throw new TakenOverError('another process has gone on with it');
    }
  }

  #write(commands: readonly WrittenCommand[], mark: Uint8Array, expected: number): Promise<PubAck> {
    const first = { subject: this.subject, data: mark, block: headerBlock(`${HEADER.EXPECTED_LAST_SUBJECT_SEQUENCE}: ${expected}\r\n`) };
    const others = commands.map(({ subject, data, lines }) => ({ subject, data, block: headerBlock(lines) }));
    return this.publisher.sendBatch([first, ...others], COMMIT_TIMEOUT_MS);
  }

  /** Removes the marks of a replay that has ended. A courtesy: they are small and say nothing any more. */
  async clear(): Promise<void> {
    await this.api.request(`STREAM.PURGE.${this.stream}`, { filter: this.subject }).catch((error: unknown) => {
      if (!(error instanceof JetStreamApiError)) throw error;
    });
  }
}

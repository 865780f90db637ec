import { headerBlock, ERR_CODE, JetStreamApiError, type PubAck, type Publisher, type JetStreamApi } from '@loopstack/jetstream';
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

/** The server knows one of its message ids (server/errors.json): the batch may be stored already. */
export const DUPLICATE_IN_BATCH = 10201;
const COMMIT_TIMEOUT_MS = 10_000;

const decoder = new TextDecoder();

/**
 * Stores commands together with the checkpoint of how far a replay is, all or none: one atomic batch whose first message is
 * the checkpoint, on the condition that the last checkpoint is where this process last saw it. So whatever dies in between,
 * exactly the commands up to the last checkpoint are published, and of two processes with one replay only one goes on. It
 * needs no deduplication window.
 */
export class CommandBatches {
  readonly #api: JetStreamApi;
  readonly #publisher: Publisher;
  readonly #stream: string;
  readonly #subject: string;
  #checkpointSequence = 0;

  /** @param subject of the checkpoints */
  constructor(api: JetStreamApi, publisher: Publisher, stream: string, subject: string) {
    this.#api = api;
    this.#publisher = publisher;
    this.#stream = stream;
    this.#subject = subject;
  }

  /** Sequence of the last checkpoint; 0: there is none. */
  get checkpointSequence(): number {
    return this.#checkpointSequence;
  }

  /** Reads the last checkpoint from the stream's leader; from here on this process demands that it is the last one. */
  async open(): Promise<string | undefined> {
    const checkpoint = await this.#api.getFromLeader(this.#stream, { last: this.#subject });
    this.#checkpointSequence = checkpoint?.sequence ?? 0;
    return checkpoint && decoder.decode(checkpoint.data);
  }

  /**
   * @param checkpoint a text that no other batch has
   * @throws TakenOverError; LoopstackError PUBLISH_… and STREAM_FULL: it may or may not be stored, and calling this again
   *   with the same checkpoint stores it once
   */
  async commit(commands: readonly WrittenCommand[], checkpoint: string): Promise<void> {
    const expected = this.#checkpointSequence;
    try {
      const { sequence } = await this.#write(commands, Buffer.from(checkpoint), expected);
      this.#checkpointSequence = sequence - commands.length;
    } catch (error) {
      const code = error instanceof LoopstackError ? error.details['errCode'] : undefined;
      if (code !== ERR_CODE.WRONG_LAST_SEQUENCE && code !== DUPLICATE_IN_BATCH) throw error;
      // The checkpoint moved: by this very batch, whose acknowledgement was lost, or by another process.
      const stored = await this.open();
      if (stored === checkpoint) return;
      this.#checkpointSequence = expected;
      if (code === DUPLICATE_IN_BATCH) throw error;
      throw new TakenOverError('another process has gone on with it');
    }
  }

  #write(commands: readonly WrittenCommand[], checkpoint: Uint8Array, expected: number): Promise<PubAck> {
    const first = {
      subject: this.#subject,
      data: checkpoint,
      block: headerBlock(`${HEADER.EXPECTED_LAST_SUBJECT_SEQUENCE}: ${expected}\r\n`),
    };
    const others = commands.map(({ subject, data, lines }) => ({ subject, data, block: headerBlock(lines) }));
    return this.#publisher.sendBatch([first, ...others], COMMIT_TIMEOUT_MS);
  }

  /** Removes the checkpoints of a replay that has ended. A courtesy: they are small. */
  async clear(): Promise<void> {
    await this.#api.request(`STREAM.PURGE.${this.#stream}`, { filter: this.#subject }).catch((error: unknown) => {
      if (!(error instanceof JetStreamApiError)) throw error;
    });
  }
}

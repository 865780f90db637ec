import type { NatsConnectionLike, Publisher } from '@loopstack/jetstream';
import {
  HEADER,
  LoopstackError,
  MAX_HEADERS,
  MAX_OWN_HEADERS,
  deadLetterHeaders,
  type DeadLetterFacts,
  type DeadLetterForm,
  type HeaderCondition,
  type Headers,
  type RunAddress,
  type WireNames,
} from '@loopstack/shared';

/** The server accepts 64 KiB of headers (error 10097). */
const MAX_HEADER_BYTES = 64 * 1024 - 256;
/** Bytes of original headers in the pointer form, which leaves room for the facts. */
const HEADER_ROOM = 24 * 1024;

/** What a dead letter is written of: a command, or an event. */
export interface Original {
  readonly data: Uint8Array;
  readonly headers: Iterable<readonly [string, string]> & Pick<HeaderCondition, 'count'>;
}

/** Publishes dead letters. The same command and redrive is the same letter, however often it is written. */
export class DeadLetterWriter {
  readonly #nc: NatsConnectionLike;
  readonly #publisher: Publisher;
  readonly #names: WireNames;
  readonly #onUnavailable: () => void;

  /** @param onUnavailable called when nothing accepts dead letters */
  constructor(nc: NatsConnectionLike, publisher: Publisher, names: WireNames, onUnavailable: () => void) {
    this.#nc = nc;
    this.#publisher = publisher;
    this.#names = names;
    this.#onUnavailable = onUnavailable;
  }

  /**
   * @param redacted stands in the letter instead of the original body
   * @returns the form of the letter; all but `full` lead to the original, which must stay where it is
   */
  async write(address: RunAddress, message: Original, facts: DeadLetterFacts, redacted?: Uint8Array): Promise<DeadLetterForm> {
    const subject = this.#names.dead(address);
    // One event may be a dead letter of many bindings.
    const whose = facts.binding === undefined ? '' : `${facts.binding}:`;
    // Also the run: a stream that was made anew counts its sequences from the start.
    const id = { [HEADER.MSG_ID]: `dead:${whose}${facts.stream}:${facts.sequence}:${facts.runId}` };
    const form: DeadLetterForm = redacted === undefined ? 'full' : 'redacted';
    const data = redacted ?? message.data;
    const whole = this.#whole(message, data, facts, form);
    const headers = whole ?? deadLetterHeaders(facts, this.#fitting(message), 'pointer');
    try {
      await this.#publisher.publish(subject, whole ? data : new Uint8Array(), { ...headers, ...id });
    } catch (error) {
      if (error instanceof LoopstackError && error.code === 'PUBLISH_UNAVAILABLE') this.#onUnavailable();
      throw error;
    }
    return whole ? form : 'pointer';
  }

  /** Undefined where it would be too large, or has more headers than a command may have: thousands cost more than all the rest. */
  #whole(message: Original, data: Uint8Array, facts: DeadLetterFacts, form: DeadLetterForm): Headers | undefined {
    if ((message.headers.count ?? 0) > MAX_HEADERS) return undefined;
    const headers = deadLetterHeaders(facts, writable(message.headers), form);
    const headerBytes = Object.entries(headers).reduce(
      (sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value) + 4,
      0,
    );
    const limit = this.#nc.info?.max_payload ?? 1024 * 1024;
    return headerBytes <= MAX_HEADER_BYTES && data.length + headerBytes + 256 <= limit ? headers : undefined;
  }

  /** The original headers as far as they leave room: a pointer leads to all of them. */
  *#fitting(message: Original): Iterable<readonly [string, string]> {
    let room = HEADER_ROOM;
    let left = MAX_OWN_HEADERS;
    for (const entry of writable(message.headers)) {
      if (left-- === 0) return;
      const bytes = Buffer.byteLength(entry[0]) + Buffer.byteLength(entry[1]) + 4;
      if (bytes > room) continue;
      room -= bytes;
      yield entry;
    }
  }
}

/** A server stores headers that no client writes (an empty name). The letter goes without them: they must not keep it from being written. */
function* writable(headers: Iterable<readonly [string, string]>): Iterable<readonly [string, string]> {
  for (const entry of headers) if (/^[!-9;-~]+$/.test(entry[0]) && !/[\r\n]/.test(entry[1])) yield entry;
}

import { LoopstackError, printable } from '@loopstack/shared/contract';
import { ERR_CODE, type ApiError } from '../api/api-error.js';

/** What JetStream answers to a publish that it has stored. */
export interface PubAck {
  readonly stream: string;
  readonly sequence: number;
  /** True if a message with this `Nats-Msg-Id` was there already; `sequence` is that one's. */
  readonly duplicate: boolean;
}

interface Answer {
  readonly stream?: string;
  readonly seq?: number;
  readonly duplicate?: boolean;
  readonly error?: ApiError;
}

/** An earlier message with this id, or on this subject where one expects a sequence, waits for a majority: what follows is not known yet. */
export const IN_PROCESS: ReadonlySet<unknown> = new Set([ERR_CODE.DUPLICATE_IN_PROCESS, ERR_CODE.SUBJECT_IN_PROCESS]);

const FULL: ReadonlySet<number> = new Set([
  ERR_CODE.STORAGE_EXCEEDED,
  ERR_CODE.RESOURCES_EXCEEDED,
  ERR_CODE.MEMORY_EXCEEDED,
  ERR_CODE.STORE_FAILED,
]);

/** Nothing of the batch is stored, and it may find a place later. */
export const NO_PLACE: ReadonlySet<unknown> = new Set([ERR_CODE.BATCH_INCOMPLETE, ERR_CODE.TOO_MANY_BATCHES]);

const ERROR_HEAD = Buffer.from('{"error":');

/** Whether an answer of the server is an error. */
export function isRefusal(data: Uint8Array): boolean {
  return ERROR_HEAD.equals(data.subarray(0, ERROR_HEAD.length));
}

/** The error that a refused publish is. `details.errCode` is the server's `err_code`, such as 10071 (wrong last sequence). */
export function refusal(subject: string, error: ApiError, stream?: string, bytes?: number): LoopstackError {
  const errCode = error.err_code ?? error.code;
  const reason = printable(error.description ?? `status ${error.code}`, 300);
  if (FULL.has(errCode)) return new LoopstackError('STREAM_FULL', { stream: stream ?? subject, reason, errCode });
  if (errCode === ERR_CODE.MESSAGE_TOO_LARGE) return new LoopstackError('PAYLOAD_TOO_LARGE', { bytes: bytes ?? 0, limit: 'less', errCode });
  if (error.code === 503 || IN_PROCESS.has(errCode)) return new LoopstackError('PUBLISH_UNAVAILABLE', { subject, reason, errCode });
  return new LoopstackError('PUBLISH_REFUSED', { subject, reason, errCode });
}

const ZERO = 0x30;
const CLOSING_BRACE = 0x7d;
const SEQUENCE_KEY = '"seq":';

/**
 * Reads answers. The usual one is `{"stream":"X","seq":N}` (some servers write a space after the comma); its head is
 * the same for every message of a stream, so it is compared as bytes and only the digits are read.
 */
export class AckReader {
  #head: Uint8Array = new Uint8Array(0);
  #stream = '';

  /** The stream of the last acknowledgement. */
  get stream(): string {
    return this.#stream;
  }

  /** The acknowledgement, or the server's error; undefined for an answer that is neither. */
  read(data: Uint8Array): PubAck | { readonly error: ApiError; readonly stream?: string } | undefined {
    const sequence = this.sequenceIn(data);
    if (sequence > 0) return { stream: this.#stream, sequence, duplicate: false };
    let answer: Answer;
    const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8');
    try {
      answer = JSON.parse(text) as Answer;
    } catch {
      return undefined;
    }
    if (typeof answer !== 'object' || answer === null) return undefined;
    if (answer.error) return answer.stream === undefined ? { error: answer.error } : { error: answer.error, stream: answer.stream };
    if (typeof answer.stream !== 'string' || typeof answer.seq !== 'number' || answer.seq < 1) return undefined;
    const headEnd = text.indexOf(SEQUENCE_KEY) + SEQUENCE_KEY.length;
    this.#stream = answer.stream;
    this.#head = data.slice(0, headEnd);
    return { stream: answer.stream, sequence: answer.seq, duplicate: answer.duplicate === true };
  }

  /** The sequence in an acknowledgement of the usual form, without an object for it; 0 for another answer. */
  sequenceIn(data: Uint8Array): number {
    const head = this.#head;
    const last = data.length - 1;
    if (head.length === 0 || last <= head.length || data[last] !== CLOSING_BRACE) return 0;
    for (let i = 0; i < head.length; i++) if (data[i] !== head[i]) return 0;
    let sequence = 0;
    for (let i = head.length; i < last; i++) {
      const digit = (data[i] as number) - ZERO;
      if (digit < 0 || digit > 9) return 0;
      sequence = sequence * 10 + digit;
    }
    return sequence;
  }
}

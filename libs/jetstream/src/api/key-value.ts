import { LoopstackError, headerLines, invalidOption } from '@loopstack/shared/contract';
import { whyUnanswered } from '../connection/unanswered.js';
import { EncodedHeaders, headerBlock } from '../publish/header-block.js';
import { AckReader, refusal } from '../publish/pub-ack.js';
import { ERR_CODE, orUndefined } from './api-error.js';
import type { StoredMessage } from '../read/stored-message.js';
import type { JetStreamApi } from './jetstream-api.js';

const TIMEOUT_MS = 5000;

/** Written by clients over a key that they remove. */
const OPERATION = 'KV-Operation';
const EXPECTED_SEQUENCE = 'Nats-Expected-Last-Subject-Sequence';

const BUCKET = /^[-\w]+$/;
/** NATS ADR-8. */
const KEY = /^(?!\.)[-/=.\w]+(?<!\.)$/;

/** A key-value bucket (NATS ADR-8), by requests alone: client libraries have theirs in different packages. */
export class KeyValue {
  readonly #api: JetStreamApi;
  readonly #bucket: string;
  readonly stream: string;

  /** @throws LoopstackError OPTION_INVALID */
  constructor(api: JetStreamApi, bucket: string) {
    this.#api = api;
    this.#bucket = bucket;
    if (!BUCKET.test(bucket)) throw invalidOption('bucket', 'letters, digits, _ and -', bucket);
    this.stream = `KV_${bucket}`;
  }

  /** Makes the bucket unless it exists; in any number of processes at once. @throws JetStreamApiError */
  async ensure({ replicas, direct }: { readonly replicas: number; readonly direct: boolean }): Promise<void> {
    if (!(await this.#api.findStream(this.stream))) await this.#make(replicas, direct);
  }

  async #make(replicas: number, direct: boolean): Promise<void> {
    const config = {
      name: this.stream,
      subjects: [this.subject('>')],
      storage: 'file',
      retention: 'limits',
      discard: 'new',
      max_msgs_per_subject: 1,
      allow_rollup_hdrs: true,
      allow_direct: direct,
      num_replicas: replicas,
    };
    // The name is in use where another process made the bucket, with other settings.
    await orUndefined(this.#api.request(`STREAM.CREATE.${this.stream}`, config), ERR_CODE.STREAM_NAME_IN_USE);
  }

  /** The subject on which a key, or the keys of a filter, are stored. */
  subject(key: string): string {
    return `$KV.${this.#bucket}.${key}`;
  }

  /** The document under a key as the stream's leader has it; undefined if there is none, or it was removed. */
  async get(key: string): Promise<StoredMessage | undefined> {
    const last = await this.#api.getFromLeader(this.stream, { last: this.subject(key) });
    return last === undefined || isRemoval(last) ? undefined : last;
  }

  /** @throws LoopstackError OPTION_INVALID, STREAM_UNAVAILABLE, STREAM_FULL, PAYLOAD_TOO_LARGE, PUBLISH_REFUSED */
  async put(key: string, value: Uint8Array): Promise<void> {
    await this.#write(checked(key), value);
  }

  /** False if there is a document under the key; then nothing was written. @throws LoopstackError as `put` */
  async create(key: string, value: Uint8Array): Promise<boolean> {
    if (await this.#writeAfter(0, checked(key), value)) return true;
    const last = await this.#api.getFromLeader(this.stream, { last: this.subject(key) });
    return last !== undefined && isRemoval(last) && this.#writeAfter(last.sequence, key, value);
  }

  /** Takes the document away, and leaves no marker behind. @throws JetStreamApiError */
  async remove(key: string): Promise<void> {
    await this.#api.request(`STREAM.PURGE.${this.stream}`, { filter: this.subject(key) });
  }

  async #writeAfter(sequence: number, key: string, value: Uint8Array): Promise<boolean> {
    try {
      await this.#write(key, value, sequence);
      return true;
    } catch (error) {
      if (error instanceof LoopstackError && error.details['errCode'] === ERR_CODE.WRONG_LAST_SEQUENCE) return false;
      throw error;
    }
  }

  async #write(key: string, value: Uint8Array, after?: number): Promise<void> {
    const { nc, prefix } = this.#api;
    const subject = prefix === '$JS.API' ? this.subject(key) : `${prefix}.${this.subject(key)}`;
    const headers = new EncodedHeaders();
    if (after !== undefined) headers.block = headerBlock(headerLines({ [EXPECTED_SEQUENCE]: String(after) }));
    const options = { timeout: TIMEOUT_MS, ...(after === undefined ? {} : { headers: headers.asMsgHdrs() }) };
    const { data } = await nc.request(subject, value, options).catch((cause: Error) => {
      const reason = whyUnanswered(nc, cause, TIMEOUT_MS);
      throw new LoopstackError('STREAM_UNAVAILABLE', { stream: this.stream, reason }, { cause });
    });
    const answer = new AckReader().read(data);
    if (answer !== undefined && 'error' in answer) throw refusal(subject, answer.error, answer.stream, value.length);
    if (answer === undefined) throw new LoopstackError('PUBLISH_REFUSED', { subject, reason: 'the answer is no acknowledgement' });
  }
}

const isRemoval = ({ headers }: StoredMessage): boolean => headers.get(OPERATION) !== undefined;

/** @throws LoopstackError OPTION_INVALID */
function checked(key: string): string {
  if (!KEY.test(key)) throw invalidOption('key', 'letters, digits and - / _ = with dots between', key);
  return key;
}

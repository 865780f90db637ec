import type { NatsConnectionLike } from '../connection/nats-connection.js';
import type { StoredMessage } from '../read/stored-message.js';
import { JetStreamApi } from './jetstream-api.js';
import { KeyValue } from './key-value.js';
import { subjectsOf } from './stream-lists.js';

/** All optional. */
export interface BucketOptions {
  /** Copies in a cluster, for a bucket that is made. Default 1. */
  readonly replicas?: number;
  /** JetStream domain, for a bucket behind a leaf node. */
  readonly domain?: string;
}

/** Reads that one `list()` has under way. */
const WINDOW = 256;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * JSON documents in a NATS KV bucket, which is made at first use. For the small state of workflows: what they write
 * under the id of their run, or of their business, is there once however often they run.
 */
export class Bucket {
  readonly name: string;
  readonly #options: BucketOptions;
  #made: Promise<KeyValue> | undefined;
  readonly #api: JetStreamApi;

  constructor(nc: NatsConnectionLike, name: string, options: BucketOptions = {}) {
    this.name = name;
    this.#options = options;
    this.#api = new JetStreamApi(nc, options.domain);
  }

  async get<T>(key: string): Promise<T | undefined> {
    const entry = await (await this.#open()).get(key);
    return entry && read<T>(entry);
  }

  /** False if the key is there already; then nothing was written. */
  async create(key: string, value: unknown): Promise<boolean> {
    return (await this.#open()).create(key, encoder.encode(JSON.stringify(value)));
  }

  async put(key: string, value: unknown): Promise<void> {
    await (await this.#open()).put(key, encoder.encode(JSON.stringify(value)));
  }

  /** Leaves no marker behind, so that a bucket through which much passes stays small. */
  async remove(key: string): Promise<void> {
    await (await this.#open()).remove(key);
  }

  /** The values of all keys that match, in no order. `*` stands for one token of a key, `>` at its end for all further ones. */
  async list<T>(filter: string): Promise<T[]> {
    const kv = await this.#open();
    const prefix = kv.subject('');
    const keys = [...(await subjectsOf(this.#api, kv.stream, kv.subject(filter))).keys()].map((subject) => subject.slice(prefix.length));
    const found: T[] = [];
    for (let from = 0; from < keys.length; from += WINDOW) {
      const entries = await Promise.all(keys.slice(from, from + WINDOW).map((key) => kv.get(key)));
      for (const entry of entries) if (entry) found.push(read<T>(entry));
    }
    return found;
  }

  #open(): Promise<KeyValue> {
    this.#made ??= this.#make().catch((error: unknown) => {
      this.#made = undefined;
      throw error;
    });
    return this.#made;
  }

  async #make(): Promise<KeyValue> {
    const kv = new KeyValue(this.#api, this.name);
    // Not by direct get: a copy that lags behind would not have what was just written.
    await kv.ensure({ replicas: this.#options.replicas ?? 1, direct: false });
    return kv;
  }
}

const read = <T>({ data }: StoredMessage): T => JSON.parse(decoder.decode(data)) as T;

import type { KV, NatsConnection } from 'nats';
import { JetStreamApi } from './jetstream-api.js';
import { subjectsOf } from './stream-lists.js';

/** All optional. */
export interface BucketOptions {
  /** Copies in a cluster, for a bucket that is made. Default 1. */
  readonly replicas?: number;
  /** JetStream domain, for a bucket behind a leaf node. */
  readonly domain?: string;
}

/** Direct gets that one `list()` has under way. */
const WINDOW = 256;

/** `KV.create` over a key that is there: wrong last sequence. */
const TAKEN = 10071;

const decoder = new TextDecoder();

/**
 * JSON documents in a NATS KV bucket, which is made at first use. For the small state of workflows: what they write
 * under the id of their run, or of their business, is there once however often they run.
 */
export class Bucket {
  #kv: Promise<KV> | undefined;
  readonly #api: JetStreamApi;

  constructor(
    private readonly nc: NatsConnection,
    readonly name: string,
    private readonly options: BucketOptions = {},
  ) {
    this.#api = new JetStreamApi(nc, options.domain);
  }

  async get<T>(key: string): Promise<T | undefined> {
    const entry = await (await this.#open()).get(key);
    return entry === null || entry.operation !== 'PUT' ? undefined : entry.json<T>();
  }

  /** False if the key is there already; then nothing was written. */
  async create(key: string, value: unknown): Promise<boolean> {
    try {
      await (await this.#open()).create(key, JSON.stringify(value));
      return true;
    } catch (error) {
      if ((error as { api_error?: { err_code?: number } }).api_error?.err_code === TAKEN) return false;
      throw error;
    }
  }

  async put(key: string, value: unknown): Promise<void> {
    await (await this.#open()).put(key, JSON.stringify(value));
  }

  /** Leaves no marker behind, so that a bucket through which much passes stays small. */
  async remove(key: string): Promise<void> {
    await this.#open();
    await this.#api.request(`STREAM.PURGE.KV_${this.name}`, { filter: this.#subject(key) });
  }

  /** The values of all keys that match, in no order. `*` stands for one token of a key, `>` at its end for all further ones. */
  async list<T>(filter: string): Promise<T[]> {
    const kv = await this.#open();
    const prefix = this.#subject('');
    const keys = [...(await subjectsOf(this.#api, `KV_${this.name}`, this.#subject(filter))).keys()].map((subject) =>
      subject.slice(prefix.length),
    );
    const found: T[] = [];
    for (let from = 0; from < keys.length; from += WINDOW) {
      const entries = await Promise.all(keys.slice(from, from + WINDOW).map((key) => kv.get(key)));
      for (const entry of entries) if (entry?.operation === 'PUT') found.push(JSON.parse(decoder.decode(entry.value)) as T);
    }
    return found;
  }

  #subject(key: string): string {
    return `$KV.${this.name}.${key}`;
  }

  #open(): Promise<KV> {
    this.#kv ??= this.#make().catch((error: unknown) => {
      this.#kv = undefined;
      throw error;
    });
    return this.#kv;
  }

  #make(): Promise<KV> {
    const { replicas = 1, domain } = this.options;
    // allow_direct is off: a copy that lags behind would not have what was just written.
    return this.nc.jetstream(domain === undefined ? {} : { domain }).views.kv(this.name, { replicas, allow_direct: false });
  }
}

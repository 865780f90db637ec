import type { Publisher } from '../publish/publisher.js';
import { LoopstackError, type WireNames } from '@loopstack/shared/contract';
import { JetStreamApiError } from './api-error.js';
import type { JetStreamApi } from './jetstream-api.js';

/** Silence of the stream after which it is written to, to see whether it can be. */
const SILENT_MS = 30_000;
const PROBE_MS = 3000;

/**
 * Sees to it that the stream of commands can be written: where nothing is started for a while, nothing else would notice. One small message
 * of its own, on a subject of replays that no replay has; it is removed at once.
 */
export class StorageWatch {
  readonly #api: JetStreamApi;
  readonly #publisher: Publisher;
  readonly #names: WireNames;
  readonly #silentMs: number;
  #refused = false;

  constructor(api: JetStreamApi, publisher: Publisher, names: WireNames, silentMs = SILENT_MS) {
    this.#api = api;
    this.#publisher = publisher;
    this.#names = names;
    this.#silentMs = silentMs;
  }

  /** @throws LoopstackError STORAGE_FAILED; JetStreamApiError */
  async look(): Promise<void> {
    const { runs } = this.#names.streams;
    if (this.#refused) return;
    const { state, ts } = await this.#api.streamInfo(runs);
    if (ts === undefined || Date.parse(ts) - Date.parse(state.last_ts) < this.#silentMs) return;
    await this.probe();
  }

  /** Writes and removes. A stream that refuses to be written to answers, and so is well. @throws LoopstackError STORAGE_FAILED */
  async probe(): Promise<void> {
    try {
      const { stream, sequence } = await this.#publisher.publish(
        this.#names.replay('probe'),
        new Uint8Array(),
        {},
        { timeoutMs: PROBE_MS },
      );
      await this.#api.request(`STREAM.MSG.DELETE.${stream}`, { seq: sequence, no_erase: true });
    } catch (error) {
      if (error instanceof LoopstackError && error.code === 'PUBLISH_REFUSED') this.#refused = true;
      if (error instanceof JetStreamApiError || (error instanceof LoopstackError && error.code !== 'STORAGE_FAILED')) return;
      throw error;
    }
  }
}

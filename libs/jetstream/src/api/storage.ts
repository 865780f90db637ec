import { LoopstackError } from '@loopstack/shared/contract';
import type { JetStreamApi } from './jetstream-api.js';

interface StreamState {
  /** The server's time, as of 2.10. */
  readonly ts?: string;
  readonly state: { readonly last_ts: string };
  readonly cluster?: { readonly replicas?: readonly { readonly offline?: boolean; readonly current?: boolean }[] };
}

/** Told when a stream is found to store nothing, with the error, and without one when it stores again. */
type StorageListener = (stream: string, error: LoopstackError | undefined) => void;

/**
 * Tells a stream that cannot be written from one that is only slow. A server whose disk is full gives a publish no answer, and answers
 * everything else. So a stream that has not acknowledged a message in time, and stored nothing at all meanwhile, cannot be written.
 */
export class Storage {
  readonly #api: JetStreamApi;
  readonly #listener: StorageListener | undefined;
  /** Requests on their way, by the first tokens of the subjects: thousands of publishes time out at once. */
  readonly #asked = new Map<string, Promise<string | undefined>>();
  /** Streams that stored nothing when they were last written to. */
  readonly #stuck = new Set<string>();

  constructor(api: JetStreamApi, listener: StorageListener | undefined) {
    this.#api = api;
    this.#listener = listener;
  }

  /** A stream has stored a message. */
  stores(stream: string): void {
    if (this.#stuck.size > 0 && this.#stuck.delete(stream)) this.#listener?.(stream, undefined);
  }

  /** STORAGE_FAILED where that is why a publish has timed out; else the error that it was. Never rejects. */
  async explain(subject: string, timeoutMs: number, timedOut: LoopstackError): Promise<LoopstackError> {
    const head = subject.split('.', 2).join('.');
    let asked = this.#asked.get(head);
    if (!asked) {
      asked = this.#findStuck(subject, timeoutMs)
        .catch(() => undefined)
        .finally(() => this.#asked.delete(head));
      this.#asked.set(head, asked);
    }
    const stream = await asked;
    if (stream === undefined) return timedOut;
    const error = new LoopstackError('STORAGE_FAILED', { ...timedOut.details, stream, subject, timeoutMs });
    this.#stuck.add(stream);
    this.#listener?.(stream, error);
    return error;
  }

  /** The stream of a subject, if it has stored nothing for as long, although no replica of it is missing. */
  async #findStuck(subject: string, timeoutMs: number): Promise<string | undefined> {
    const found = await this.#api.read<{ streams: string[] | null }>('STREAM.NAMES', { subject });
    const stream = found.streams?.[0];
    if (stream === undefined) return undefined;
    const info = await this.#api.read<StreamState>(`STREAM.INFO.${stream}`, {});
    if (info.ts === undefined) return undefined;
    const cutOff = info.cluster?.replicas?.some(({ offline, current }) => offline === true || current === false);
    return !cutOff && Date.parse(info.ts) - Date.parse(info.state.last_ts) >= timeoutMs ? stream : undefined;
  }
}

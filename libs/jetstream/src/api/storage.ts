import { LoopstackError } from '@loopstack/shared/contract';
import type { StreamReader } from '../read/stream-reader.js';

interface StreamState {
  /** The server's time, as of 2.10. */
  readonly ts?: string;
  readonly state: { readonly last_ts: string };
  readonly cluster?: { readonly replicas?: readonly { readonly offline?: boolean; readonly current?: boolean }[] };
}

/**
 * Tells a stream that cannot be written from one that is only slow. A server whose disk is full gives a publish no answer, and answers
 * everything else: what it has not acknowledged in time, while it stored nothing at all, it does not store.
 */
export class Storage {
  /** Questions on their way, by what the subjects begin with: thousands of publishes time out at once. */
  readonly #asked = new Map<string, Promise<string | undefined>>();

  constructor(private readonly reader: StreamReader) {}

  /** STORAGE_FAILED where that is why a publish has timed out; else the error that it was. Never rejects. */
  async explain(subject: string, timeoutMs: number, timedOut: LoopstackError): Promise<LoopstackError> {
    const head = subject.split('.', 2).join('.');
    let asked = this.#asked.get(head);
    if (!asked) {
      asked = this.#stuck(subject, timeoutMs)
        .catch(() => undefined)
        .finally(() => this.#asked.delete(head));
      this.#asked.set(head, asked);
    }
    const stream = await asked;
    return stream === undefined ? timedOut : new LoopstackError('STORAGE_FAILED', { ...timedOut.details, stream, subject, timeoutMs });
  }

  /** The stream of a subject, if it has stored nothing for as long, though no replica of it is missing. */
  async #stuck(subject: string, timeoutMs: number): Promise<string | undefined> {
    const found = await this.reader.call<{ streams: string[] | null }>('STREAM.NAMES', { subject }, 'JetStream');
    const stream = found?.streams?.[0];
    if (stream === undefined) return undefined;
    const info = await this.reader.call<StreamState>(`STREAM.INFO.${stream}`, {}, stream);
    if (info?.ts === undefined) return undefined;
    const cutOff = info.cluster?.replicas?.some(({ offline, current }) => offline === true || current === false);
    return !cutOff && Date.parse(info.ts) - Date.parse(info.state.last_ts) >= timeoutMs ? stream : undefined;
  }
}

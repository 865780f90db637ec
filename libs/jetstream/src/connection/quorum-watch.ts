import { monotonicMs } from '@loopstack/shared/contract';
import { hasOtherServers } from './connection.js';
import { isUnavailable } from '../api/api-error.js';
import type { StreamInfo } from '../api/info.js';
import type { JetStreamApi } from '../api/jetstream-api.js';

/** Between looks whether the server of a connection is cut off from the others. */
export const QUORUM_CHECK_MS = 2000;
/** How long a leader's followers may be silent. */
const SILENT_MS = 3000;
const ANSWER_MS = 1500;
/** An answer may wait in the socket of a process that is this late to look at it. */
const LATE_MS = 300;
/** Looks in a row that must fail: without an answer, a cluster may be electing a leader, which takes 4 to 10 s. */
const SILENT_LOOKS = 2;
const UNANSWERED_LOOKS = 3;
/** The longest wait, in looks, between two servers where none is better. */
const MAX_LOOKS = 15;
const NS_PER_MS = 1_000_000;

type Look = 'well' | 'silent' | 'unanswered';

/**
 * Whether the server of a connection is cut off from the others: the leader of a stream that is cut off with it answers, and sends heartbeats, for
 * 10 to 20 s, and delivers nothing. The silence of its followers tells it.
 */
export class QuorumWatch {
  readonly #api: JetStreamApi;
  readonly #stream: string;
  #connection: unknown;
  #failed = 0;
  /** Servers that were found cut off in a row. */
  #fruitless = 0;

  constructor(api: JetStreamApi, stream: string) {
    this.#api = api;
    this.#stream = stream;
  }

  /** Asks the server, every `QUORUM_CHECK_MS`. True when it has failed for long enough to be left; false also where there is no other one. */
  async isCutOff(): Promise<boolean> {
    const { nc } = this.#api;
    if (!hasOtherServers(nc)) return false;
    if (this.#connection !== nc.info) this.#failed = 0;
    this.#connection = nc.info;
    const look = await this.#look();
    if (this.#connection !== nc.info) return false;
    if (look === 'well') {
      this.#failed = this.#fruitless = 0;
      return false;
    }
    const enough = look === 'silent' ? SILENT_LOOKS : UNANSWERED_LOOKS;
    if (++this.#failed < Math.min(MAX_LOOKS, enough * 2 ** this.#fruitless)) return false;
    this.#failed = 0;
    this.#fruitless++;
    return true;
  }

  async #look(): Promise<Look> {
    const askedMs = monotonicMs();
    try {
      const info = await this.#api.request<StreamInfo>(`STREAM.INFO.${this.#stream}`, undefined, ANSWER_MS);
      if (hasMajority(info, SILENT_MS)) return 'well';
      return info.cluster?.leader === undefined ? 'unanswered' : 'silent';
    } catch (error) {
      const late = monotonicMs() - askedMs > ANSWER_MS + LATE_MS;
      return isUnavailable(error) && !late ? 'unanswered' : 'well';
    }
  }
}

/**
 * Whether a stream's leader has heard of a majority of the stream's servers within `silentMs`; not where there is no leader. Followers answer
 * its heartbeats every second (nats-server 2.15, measured).
 */
export function hasMajority({ cluster }: Pick<StreamInfo, 'cluster'>, silentMs: number): boolean {
  if (cluster === undefined) return true;
  if (cluster.leader === undefined) return false;
  const { replicas = [] } = cluster;
  const heard = replicas.filter(({ active, offline }) => !offline && active <= silentMs * NS_PER_MS);
  return 2 * (heard.length + 1) > replicas.length + 1;
}

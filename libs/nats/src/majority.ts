import { hasOtherServers } from '@loopstack/client';
import { isUnavailable, type JetStreamApi, type StreamInfo } from './jetstream-api.js';

/** Between looks whether the server of a connection is cut off from the others. */
export const MAJORITY_MS = 2000;
/** How long a leader's followers may be silent, and how long it may be unknown how it stands. */
const SILENT_MS = 3000;
const ANSWER_MS = 2000;
const NS_PER_MS = 1_000_000;

/**
 * Whether the server of a connection is cut off from the others: the leader of a stream that is cut off with it answers, and sends heartbeats, for
 * 10 to 20 s, and delivers nothing. The silence of its followers tells it.
 */
export class MajorityWatch {
  #connection: unknown;
  #knownAtMs = 0;

  constructor(
    private readonly api: JetStreamApi,
    private readonly stream: string,
  ) {}

  /** Asks the server. False also where there is no other one, and for three seconds after the connection was made. */
  async isCutOff(): Promise<boolean> {
    const { nc } = this.api;
    if (!hasOtherServers(nc)) return false;
    if (this.#connection !== nc.info) this.#knownAtMs = Date.now();
    this.#connection = nc.info;
    const well = await this.api.read<StreamInfo>(`STREAM.INFO.${this.stream}`, undefined, ANSWER_MS).then(
      (info) => hasMajority(info, SILENT_MS),
      (error: unknown) => !isUnavailable(error),
    );
    if (well || this.#connection !== nc.info) this.#knownAtMs = Date.now();
    return Date.now() - this.#knownAtMs > SILENT_MS;
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
  const heard = replicas.filter(({ active }) => active <= silentMs * NS_PER_MS);
  return 2 * (heard.length + 1) > replicas.length + 1;
}

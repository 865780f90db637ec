/** Stream and consumer configuration as the server knows it: newer fields than the client's types have. */
export type Config = Readonly<Record<string, unknown>>;

export interface StreamInfo {
  /** The server's time, as of 2.10. */
  readonly ts?: string;
  readonly config: Config;
  readonly created: string;
  readonly state: {
    readonly messages: number;
    readonly bytes: number;
    readonly first_seq: number;
    readonly last_seq: number;
    readonly first_ts: string;
    readonly last_ts: string;
    readonly num_subjects?: number;
    readonly subjects?: Readonly<Record<string, number>>;
  };
  /** `seq`: the last sequence that was taken of it, where the server tells. */
  readonly sources?: readonly { readonly name: string; readonly seq?: number }[];
  /** Undefined: the server is none of a cluster. */
  readonly cluster?: {
    readonly leader?: string;
    /** The other servers, as the one that answers knows them; `active`: nanoseconds since it heard of one. */
    readonly replicas?: readonly { readonly active: number; readonly offline?: boolean }[];
  };
}

interface Progress {
  readonly consumer_seq: number;
  readonly stream_seq: number;
  /** Undefined: never. */
  readonly last_active?: string;
}

export interface ConsumerInfo {
  readonly name: string;
  readonly created: string;
  /** The server's time, as of 2.10. */
  readonly ts?: string;
  readonly paused?: boolean;
  /** Nanoseconds that a pause goes on. */
  readonly pause_remaining?: number;
  readonly config: Config;
  readonly delivered: Progress;
  readonly ack_floor: Progress;
  readonly num_ack_pending: number;
  readonly num_redelivered: number;
  readonly num_waiting: number;
  readonly num_pending: number;
}

import type { CommandSigner, LoopstackError } from '@loopstack/shared/contract';

export interface PublisherOptions {
  /** Most messages that are written and not yet acknowledged; further callers wait in order. Default 4,096. */
  readonly maxInFlight?: number;
  /**
   * Longest wait for an acknowledgement, in milliseconds, from the moment the message is written. Default 5,000. Keep it
   * below the deduplication window of the streams (2 minutes by default).
   */
  readonly timeoutMs?: number;
  /**
   * While the connection is down: `fail` refuses at once (PUBLISH_UNAVAILABLE), `wait` keeps the message until the
   * connection is back or its timeout has passed. Default `wait`.
   */
  readonly whileDisconnected?: 'fail' | 'wait';
  /**
   * Gathers concurrent messages that allow it into atomic batches. Default `auto`: while under load each message costs
   * the server a disk write of its own (`sync_interval: always`).
   */
  readonly groupCommit?: boolean | 'auto';
  /** Called when messages time out and nothing was acknowledged for 5 s, although the connection is up; again after 5 s more. */
  readonly onUnanswered?: (() => void) | undefined;
  /** Called when a stream is found to store nothing, with the error that its callers get, and without one when it stores again. */
  readonly onStorage?: ((stream: string, error: LoopstackError | undefined) => void) | undefined;
  /** JetStream domain of the streams. */
  readonly domain?: string | undefined;
  /** Signs anew what must be stored under another message id. */
  readonly sign?: CommandSigner | undefined;
}

type Defaulted = 'maxInFlight' | 'timeoutMs' | 'whileDisconnected' | 'groupCommit';

export type ResolvedPublisherOptions = PublisherOptions & Required<Pick<PublisherOptions, Defaulted>>;

export function resolvePublisherOptions(options: PublisherOptions): ResolvedPublisherOptions {
  return {
    ...options,
    maxInFlight: options.maxInFlight ?? 4096,
    timeoutMs: options.timeoutMs ?? 5000,
    whileDisconnected: options.whileDisconnected ?? 'wait',
    groupCommit: options.groupCommit ?? 'auto',
  };
}

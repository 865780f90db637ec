import type { LoopstackError } from '@loopstack/shared/contract';
import type { Pending } from './queue/pending.js';
import { AckReader, IN_PROCESS, refusal, type PubAck } from './pub-ack.js';
import { refused, unavailable } from './publish-errors.js';
import { mayRetry, retryAt } from './retransmission.js';
import type { StallDetector } from './stall-detector.js';

/** Decides from the server's answers about messages. */
export class Answers {
  readonly #acks = new AckReader();
  readonly #stall: StallDetector;
  readonly #whyNotTaken: () => string;
  /** A stream has acknowledged a message. */
  #proven = false;

  /** @param whyNotTaken told of a message that had no responders */
  constructor(stall: StallDetector, whyNotTaken = (): string => 'no responders') {
    this.#stall = stall;
    this.#whyNotTaken = whyNotTaken;
  }

  /** The stream of the last acknowledgement. */
  get stream(): string {
    return this.#acks.stream;
  }

  /** The sequence in an acknowledgement of the usual form; 0: see `read`. */
  sequenceIn(data: Uint8Array): number {
    const sequence = this.#acks.sequenceIn(data);
    if (sequence > 0) this.#proven = true;
    return sequence;
  }

  /** The acknowledgement of a message, or the error that ends it; undefined: no server took it, and it is written again later. */
  read(pending: Pending, data: Uint8Array, tick: number): PubAck | LoopstackError | undefined {
    const { subject } = pending;
    if (data.length === 0) return this.#notTaken(pending, unavailable(subject, this.#whyNotTaken()), !pending.maybeStored, tick);
    const answer = this.#acks.read(data);
    if (answer === undefined) return refused(subject, 'the answer is no acknowledgement');
    if ('error' in answer) return this.#refused(pending, refusal(subject, answer.error, answer.stream, pending.bytes), tick);
    this.#proven = true;
    return answer;
  }

  #refused(pending: Pending, error: LoopstackError, tick: number): LoopstackError | undefined {
    // An earlier writing of it waits for a majority: whether it is stored is not known yet.
    const inProcess = IN_PROCESS.has(error.details['errCode']);
    if (inProcess) pending.maybeStored = true;
    // The server may refuse a group for two of its own messages, and would do so every time.
    const isOwnFault = inProcess && pending.members !== undefined;
    if (error.code === 'PUBLISH_UNAVAILABLE' && !isOwnFault) return this.#notTaken(pending, error, false, tick);
    this.#stall.refused(tick);
    return error;
  }

  /**
   * If an earlier writing of the message was not answered, it may be stored all the same: the only true answers are then an
   * acknowledgement or a timeout.
   */
  #notTaken(pending: Pending, error: LoopstackError, unseen: boolean, tick: number): LoopstackError | undefined {
    if (!mayRetry(pending, this.#proven, unseen)) return error;
    pending.unavailable = error;
    pending.resendAt = retryAt(tick);
    return undefined;
  }
}

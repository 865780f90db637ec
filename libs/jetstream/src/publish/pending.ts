import { LoopstackError } from '@loopstack/shared/contract';

/** Makes what the caller gets out of an acknowledgement. One object a publish instead of a chain of promises. */
export interface Receiver<T> {
  /** Of the run whose command it is. */
  readonly id?: string;
  acknowledged(stream: string, sequence: number, duplicate: boolean): T;
}

/** A message with its headers encoded. */
export interface EncodedMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  /** As `headerBlock` makes it. */
  readonly block: Uint8Array | undefined;
}

/** A message until it is acknowledged. Times are ticks of the publisher's sweep. */
export class Pending implements EncodedMessage {
  /** When it times out; 0 before it is written. */
  deadline = 0;
  /** Since when it waits for its first writing. */
  queuedAt = 0;
  /** When it is written again; 0: not. */
  resendAt = 0;
  /** The last answer: nothing takes it now. */
  unavailable: LoopstackError | undefined;
  /** Times that it was written. */
  written = 0;
  /** Its answer was lost: it may be stored although nobody will say so. */
  maybeStored = false;
  /** It counts as one of the groups in flight. */
  group = false;
  /** The callers whose messages a group holds. */
  members: readonly Pending[] | undefined;

  constructor(
    readonly subject: string,
    readonly data: Uint8Array,
    readonly block: Uint8Array | undefined,
    readonly timeoutMs: number,
    /** It has a `Nats-Msg-Id`: writing it twice stores it once. */
    readonly resendable: boolean,
    /** It may share an atomic batch with others: all of them go to one stream, and none is there already as a rule. */
    readonly groupable: boolean,
    readonly receiver: Receiver<unknown>,
    readonly resolve: (value: unknown) => void,
    readonly reject: (error: Error) => void,
  ) {}

  get size(): number {
    return 1;
  }

  get bytes(): number {
    return this.data.length + (this.block?.length ?? 0);
  }

  writes(subject: string): boolean {
    return this.subject === subject;
  }

  timedOut(): LoopstackError {
    if (this.unavailable && !this.maybeStored) return this.unavailable;
    const { subject, timeoutMs, receiver } = this;
    return new LoopstackError('PUBLISH_TIMEOUT', {
      subject,
      timeoutMs,
      ...(receiver.id === undefined ? {} : { runIds: [receiver.id] }),
    });
  }
}

/** Messages that are stored together or not at all; the last one asks for the acknowledgement. */
export class PendingBatch extends Pending {
  constructor(
    readonly messages: readonly EncodedMessage[],
    timeoutMs: number,
    resendable: boolean,
    receiver: Receiver<unknown>,
    resolve: (value: unknown) => void,
    reject: (error: Error) => void,
  ) {
    const last = messages.at(-1) as EncodedMessage;
    super(last.subject, last.data, last.block, timeoutMs, resendable, false, receiver, resolve, reject);
  }

  override get size(): number {
    return this.messages.length;
  }

  override writes(subject: string): boolean {
    return this.messages.some((message) => message.subject === subject);
  }
}

/** A batch of messages of several callers, each of whom gets an acknowledgement of its own. */
export function groupOf(members: readonly Pending[], reject: (error: Error) => void): PendingBatch {
  const [first] = members as readonly [Pending];
  const last: Receiver<void> = {
    acknowledged(stream, sequence) {
      const before = sequence - members.length + 1;
      members.forEach((member, i) => member.resolve(member.receiver.acknowledged(stream, before + i, false)));
    },
  };
  const resendable = members.every((member) => member.resendable);
  const batch = new PendingBatch(members, first.timeoutMs, resendable, last, () => {}, reject);
  batch.group = true;
  batch.members = members;
  return batch;
}

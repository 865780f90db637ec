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

/** What a publisher may do with a message. */
export interface Handling {
  /** The message has a `Nats-Msg-Id`: JetStream stores it once, however often it is written. */
  readonly resendable: boolean;
  /** It may share an atomic batch with others: all of them go to one stream, and as a rule none is stored already. */
  readonly groupable: boolean;
}

/** Of a message with a `Nats-Msg-Id`, or one whose second writing does no harm. */
export const IDEMPOTENT: Handling = { resendable: true, groupable: true };
/** As `IDEMPOTENT`, for what goes alone. */
export const IDEMPOTENT_ALONE: Handling = { resendable: true, groupable: false };
/** Of a message that must not be written twice. */
export const WRITTEN_ONCE: Handling = { resendable: false, groupable: false };

// Shared by all promises: the executor runs before `new Promise` returns, so two variables carry its functions out.
let resolveLast: (value: unknown) => void;
let rejectLast: (error: Error) => void;
const capture = (resolve: (value: unknown) => void, reject: (error: Error) => void): void => {
  resolveLast = resolve;
  rejectLast = reject;
};

/** A message until it is acknowledged. Times are ticks of the publisher. */
export class Pending implements EncodedMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly block: Uint8Array | undefined;
  readonly timeoutMs: number;
  readonly receiver: Receiver<unknown>;
  handling = IDEMPOTENT;
  /** When it times out; 0 before it is written. */
  deadline = 0;
  /** Since when it waits to be written for the first time. */
  queuedAt = 0;
  /** When it is written again; 0: never. */
  resendAt = 0;
  /** The last answer: no server takes it now. */
  unavailable: LoopstackError | undefined = undefined;
  /** Times that it was written. */
  written = 0;
  /** Its answer was lost: it may be stored, although no answer will say so. */
  maybeStored = false;
  /** It counts as one of the groups in flight. */
  group = false;
  /** The callers whose messages a group holds. */
  members: readonly Pending[] | undefined = undefined;
  resolve: (value: unknown) => void = ignore;
  reject: (error: Error) => void = ignore;

  constructor(subject: string, data: Uint8Array, block: Uint8Array | undefined, timeoutMs: number, receiver: Receiver<unknown>) {
    this.subject = subject;
    this.data = data;
    this.block = block;
    this.timeoutMs = timeoutMs;
    this.receiver = receiver;
  }

  /** The caller's promise. Called once. */
  promise<T>(): Promise<T> {
    const promise = new Promise<T>(capture as never);
    this.resolve = resolveLast;
    this.reject = rejectLast;
    return promise;
  }

  get resendable(): boolean {
    return this.handling.resendable;
  }

  get groupable(): boolean {
    return this.handling.groupable;
  }

  get size(): number {
    return 1;
  }

  get bytes(): number {
    return this.data.length + (this.block?.length ?? 0);
  }

  writes(subject: string): boolean {
    return this.subject === subject;
  }

  /** The same for the same caller, under another message id, and alone. */
  replacedBy({ block }: EncodedMessage): Pending {
    const { subject, data, timeoutMs, receiver, resolve, reject } = this;
    const other = new Pending(subject, data, block ?? this.block, timeoutMs, receiver);
    other.handling = IDEMPOTENT_ALONE;
    other.resolve = resolve;
    other.reject = reject;
    return other;
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
  readonly messages: readonly EncodedMessage[];

  constructor(messages: readonly EncodedMessage[], timeoutMs: number, handling: Handling, receiver: Receiver<unknown>) {
    const { subject, data, block } = messages.at(-1) as EncodedMessage;
    super(subject, data, block, timeoutMs, receiver);
    this.handling = handling;
    this.messages = messages;
    this.group = true;
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
  const handling = members.every((member) => member.resendable) ? IDEMPOTENT_ALONE : WRITTEN_ONCE;
  const batch = new PendingBatch(members, first.timeoutMs, handling, last);
  batch.members = members;
  batch.reject = reject;
  return batch;
}

function ignore(): void {}

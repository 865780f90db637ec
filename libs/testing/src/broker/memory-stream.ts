import { HEADER, LoopstackError, type HeaderLine, type Headers, type MessageHeaders } from '@loopstack/shared';

/** Headers of a stored message. */
export class MemoryHeaders implements MessageHeaders {
  constructor(readonly record: Headers) {}

  get count(): number {
    return Object.keys(this.record).length;
  }

  get(name: string): string | undefined {
    return (Object.hasOwn(this.record, name) && this.record[name]) || undefined;
  }

  entries(): Iterable<readonly [string, string]> {
    return Object.entries(this.record);
  }

  /** As bytes in Latin-1, the form that signatures are made of. */
  lines(): readonly HeaderLine[] {
    return Object.entries(this.record).map(([name, value]) => [name, Buffer.from(value).toString('latin1')]);
  }

  [Symbol.iterator](): Iterator<readonly [string, string]> {
    return this.entries()[Symbol.iterator]();
  }
}

export interface MemoryMessage {
  readonly subject: string;
  readonly sequence: number;
  /** Milliseconds since the epoch, by the virtual clock. */
  readonly timeMs: number;
  readonly data: Uint8Array;
  readonly headers: MemoryHeaders;
}

/** What all streams of a broker may hold together. */
export class Capacity {
  #messages = 0;
  #bytes = 0;

  constructor(
    readonly maxMessages: number,
    readonly maxBytes: number,
  ) {}

  /** @throws LoopstackError STREAM_FULL */
  assertRoom(stream: string, messages = 1): void {
    if (this.#messages + messages <= this.maxMessages && this.#bytes < this.maxBytes) return;
    const reason = `the in-memory broker of @loopstack/testing holds at most ${this.maxMessages} messages and ${this.maxBytes} bytes (options maxMessages, maxBytes); make a testing module for each test`;
    throw new LoopstackError('STREAM_FULL', { stream, reason });
  }

  add(messages: number, bytes: number): void {
    this.#messages += messages;
    this.#bytes += bytes;
  }
}

/** Messages in the order in which they were stored, also by subject. */
export class MemoryStream {
  readonly #messages = new Map<number, MemoryMessage>();
  readonly #bySubject = new Map<string, MemoryMessage[]>();
  readonly #sequences = new Map<string, number>();
  readonly #listeners: ((message: MemoryMessage) => void)[] = [];
  #last = 0;

  constructor(
    readonly name: string,
    private readonly nowMs: () => number,
    private readonly capacity: Capacity,
  ) {}

  get lastSequence(): number {
    return this.#last;
  }

  /** Told of each message that is stored from now on. */
  onMessage(listener: (message: MemoryMessage) => void): void {
    this.#listeners.push(listener);
  }

  /** Stores a message once for each message id. @returns its sequence */
  append(subject: string, data: Uint8Array, headers: Headers = {}): { readonly sequence: number; readonly duplicate: boolean } {
    const id = headers[HEADER.MSG_ID];
    const known = id === undefined ? undefined : this.#sequences.get(id);
    if (known !== undefined) return { sequence: known, duplicate: true };
    const sequence = ++this.#last;
    const message = { subject, sequence, timeMs: this.nowMs(), data, headers: new MemoryHeaders(headers) };
    this.capacity.add(1, data.length);
    this.#messages.set(sequence, message);
    const others = this.#bySubject.get(subject);
    if (others) others.push(message);
    else this.#bySubject.set(subject, [message]);
    if (id !== undefined) this.#sequences.set(id, sequence);
    for (const listener of this.#listeners) listener(message);
    return { sequence, duplicate: false };
  }

  at(sequence: number): MemoryMessage | undefined {
    return this.#messages.get(sequence);
  }

  /** The messages of a subject, from the first on. */
  of(subject: string): readonly MemoryMessage[] {
    return this.#bySubject.get(subject) ?? [];
  }

  get messages(): Iterable<MemoryMessage> {
    return this.#messages.values();
  }

  get subjects(): Iterable<string> {
    return this.#bySubject.keys();
  }

  remove(sequence: number): void {
    const message = this.#messages.get(sequence);
    if (!message) return;
    this.#messages.delete(sequence);
    this.capacity.add(-1, -message.data.length);
    const left = this.of(message.subject).filter((other) => other !== message);
    if (left.length > 0) this.#bySubject.set(message.subject, left);
    else this.#bySubject.delete(message.subject);
  }
}

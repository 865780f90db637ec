import type { MsgHdrs } from 'nats';

/** First values of headers; the client answers an absent one with an empty string. */
export class MessageHeaders {
  constructor(private readonly headers: MsgHdrs | undefined) {}

  get(name: string): string | undefined {
    return this.headers?.get(name) || undefined;
  }

  *entries(): Iterable<readonly [string, string]> {
    for (const [name, values] of this.headers ?? []) if (values[0] !== undefined) yield [name, values[0]];
  }

  [Symbol.iterator](): Iterator<readonly [string, string]> {
    return this.entries()[Symbol.iterator]();
  }
}

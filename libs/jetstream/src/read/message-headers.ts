import type { HeaderReader, Headers } from '@loopstack/shared/contract';

/** First values of headers, wherever they come from; an empty one counts as absent. */
export interface MessageHeaders extends HeaderReader, Iterable<readonly [string, string]> {
  entries(): Iterable<readonly [string, string]>;
}

export function recordHeaders(headers: Headers): MessageHeaders {
  const entries = (): [string, string][] => Object.entries(headers);
  return {
    get: (name) => (Object.hasOwn(headers, name) && headers[name]) || undefined,
    entries,
    [Symbol.iterator]: () => entries()[Symbol.iterator](),
  };
}

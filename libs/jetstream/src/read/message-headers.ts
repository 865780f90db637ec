import type { Headers, MessageHeaders } from '@loopstack/shared/contract';

export function recordHeaders(headers: Headers): MessageHeaders {
  const entries = (): [string, string][] => Object.entries(headers);
  return {
    get: (name) => (Object.hasOwn(headers, name) && headers[name]) || undefined,
    entries,
    [Symbol.iterator]: () => entries()[Symbol.iterator](),
  };
}

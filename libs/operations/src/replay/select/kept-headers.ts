import { HEADER, emptyHeaders, type Headers } from '@loopstack/shared/contract';

/** Headers of ours that tie runs together. */
const TIES: ReadonlySet<string> = new Set([HEADER.CORRELATION_ID, HEADER.CAUSE, HEADER.CAUSE_DEPTH]);

/**
 * Headers that a new command takes from the old one: the producer's own, and those that tie runs together. The others, such as a
 * deadline, act again only where the request asks for it.
 */
export function keptHeaders(headers: Iterable<readonly [string, string]>): Headers | undefined {
  let kept: Record<string, string> | undefined;
  for (const [name, value] of headers) {
    if (/^(nats-|ce-|traceparent$|tracestate$)/i.test(name) || (/^loopstack-/i.test(name) && !TIES.has(name))) continue;
    if (/^content-type$/i.test(name) && /cloudevents/i.test(value)) continue;
    kept ??= emptyHeaders();
    kept[name] = value;
  }
  return kept;
}

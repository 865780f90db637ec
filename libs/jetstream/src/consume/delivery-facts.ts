/** What the reply subject of a delivery tells (NATS ADR-15). */
export interface DeliveryFacts {
  readonly deliveries: number;
  readonly sequence: number;
  /** Grows by one with each delivery by the consumer, to whichever worker. */
  readonly consumerSequence: number;
  /** Milliseconds since the epoch; when the message was stored. */
  readonly timeMs: number;
  /** Messages that wait behind this one. */
  readonly pending: number;
}

const DOT = 0x2e;
const ZERO = 0x30;
const NS_DIGITS = 6;
/** Tokens before the number of deliveries: `$JS.ACK.<stream>.<consumer>`, or with domain and account hash before the stream. */
const SHORT = 4;
const LONG = 6;

// One for all messages: a parse ends before the next one begins.
const starts = new Int32Array(16);

/** Reads `$JS.ACK.[<domain>.<hash>.]<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<ns>.<pending>[.<random>]`. */
export function deliveryFacts(reply: string): DeliveryFacts {
  let tokens = 1;
  for (let i = 0; i < reply.length && tokens < starts.length; i++) if (reply.charCodeAt(i) === DOT) starts[tokens++] = i + 1;
  const at = tokens > 9 ? LONG : SHORT;
  return {
    deliveries: numberAt(reply, at, 0),
    sequence: numberAt(reply, at + 1, 0),
    consumerSequence: numberAt(reply, at + 2, 0),
    timeMs: numberAt(reply, at + 3, NS_DIGITS),
    pending: numberAt(reply, at + 4, 0),
  };
}

/** The number in a token, without its last digits. Digits are all that the server writes there. */
function numberAt(reply: string, token: number, without: number): number {
  const start = starts[token] as number;
  let end = reply.indexOf('.', start);
  if (end < 0) end = reply.length;
  let value = 0;
  for (let i = start; i < end - without; i++) value = value * 10 + (reply.charCodeAt(i) - ZERO);
  return value;
}

/** The name of the consumer that a delivery is of. */
export function durableIn(reply: string): string {
  const tokens = reply.split('.');
  return tokens[(tokens.length > 9 ? LONG : SHORT) - 1] ?? '';
}

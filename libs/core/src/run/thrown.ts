import { printable } from '@loopstack/shared';

// Anything may be thrown: a proxy whose traps throw, an error whose message is a getter that throws, or a name that is a number.
// These read it and never throw.

/** As `instanceof`. */
export function isA<T>(thrown: unknown, type: abstract new (...args: never[]) => T): thrown is T {
  try {
    return thrown instanceof type;
  } catch {
    return false;
  }
}

/** A field of an error, where it is text. */
export function textOf(thrown: unknown, field: 'name' | 'message' | 'stack'): string | undefined {
  try {
    const value = (thrown as Readonly<Record<string, unknown>>)[field];
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}

/**
 * What was thrown, in one line.
 * @param limit characters
 */
export function reasonOf(thrown: unknown, limit = 500): string {
  if (isA(thrown, Error)) {
    return printable(`${textOf(thrown, 'name') ?? 'Error'}: ${textOf(thrown, 'message') ?? 'its message cannot be read'}`, limit);
  }
  if (typeof thrown === 'string') return printable(`it threw ${thrown}`, limit);
  try {
    return printable(`it threw ${JSON.stringify(thrown) ?? typeof thrown}`, limit);
  } catch {
    return `it threw a ${typeof thrown}`;
  }
}

/** The frames of a stack, without the message above them: the message is untrusted text, and already logged on one line. */
export function framesOf(thrown: unknown): string | undefined {
  const stack = textOf(thrown, 'stack');
  const message = textOf(thrown, 'message') ?? '';
  // A message may have lines that look like frames: another error's stack, for one.
  const lines = stack
    ?.slice(Math.max(0, stack.indexOf(message)) + (stack.includes(message) ? message.length : 0))
    .split('\n')
    .filter((line) => /^ {4}at /.test(line));
  return lines?.map((line) => printable(line)).join('\n');
}

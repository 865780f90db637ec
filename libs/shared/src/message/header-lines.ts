import { LoopstackError, jsonType } from '../error.js';
import { refusedOption } from '../value/option.js';
import { HEADER, type Headers } from './header.js';
import type { CommandSigner, UnsignedCommand } from '../signing/signature.js';
import { unfitText } from '../value/text.js';

/** NATS ADR-4: printable ASCII without the colon. */
const NAME = /^[!-9;-~]+$/;
const LINE_END = /[\r\n]/;

/**
 * The lines of some headers, in the form that the protocol wants.
 * @throws LoopstackError OPTION_INVALID for a name or a value that would break the protocol
 */
export function headerLines(headers: Headers): string {
  if (typeof headers !== 'object' || headers === null || Symbol.iterator in headers)
    throw invalid('an object of strings', headers !== null && typeof headers === 'object' ? 'a list or map' : jsonType(headers));
  let lines = '';
  for (const name of Object.keys(headers)) {
    const value = headers[name] as unknown;
    if (!NAME.test(name)) throw invalid('a name of printable ASCII without a colon', JSON.stringify(name.slice(0, 80)));
    if (typeof value !== 'string') throw invalid(`a string as value of ${name}`, jsonType(value));
    if (LINE_END.test(value)) throw invalid(`a value of one line for ${name}`, 'a line end');
    if (!value.isWellFormed()) throw invalid(`a well-formed value for ${name}`, 'a string with a lone surrogate');
    lines += `${name}: ${value}\r\n`;
  }
  return lines;
}

/**
 * As `headerLines`, for headers that a caller makes up: also refuses what would not arrive everywhere as it is.
 * Many clients trim values, and control characters forge lines of a log.
 * @throws LoopstackError OPTION_INVALID
 */
export function ownHeaderLines(headers: Headers): string {
  const lines = headerLines(headers);
  for (const name of Object.keys(headers)) {
    const value = headers[name] as string;
    const unfit = unfitText(value);
    if (unfit !== undefined) throw invalid(`a value without control characters for ${name}`, unfit);
    if (value.trim() !== value) throw invalid(`a value that neither begins nor ends with a blank for ${name}`, 'one that does');
  }
  return lines;
}

/** The headers in lines that `headerLines` made; of two with one name the first, which is the one that is read. */
export function headersInLines(lines: string): Headers {
  const pairs = lines
    .split('\r\n')
    .slice(0, -1)
    .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)] as const);
  return Object.fromEntries(pairs.reverse());
}

/**
 * The lines of a command with those of its signature, which covers all of them: a name that is there twice is written once.
 * @param messageId undefined: it is stored without one
 */
export function signedLines(
  sign: CommandSigner,
  lines: string,
  { messageId, ...command }: Omit<UnsignedCommand, 'headers'> & { readonly messageId: string | undefined },
): string {
  const headers = headersInLines(lines);
  const stored = messageId === undefined ? headers : { [HEADER.MSG_ID]: messageId, ...headers };
  return headerLines({ ...headers, ...sign({ ...command, headers: stored }) });
}

function invalid(expected: string, received: string): LoopstackError {
  return refusedOption('headers', expected, received);
}

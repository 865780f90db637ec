const LITERAL = /-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?/y;

interface Decimal {
  /** Without zeros at either end; empty for zero. */
  readonly digits: string;
  /** The value is the digits times ten to this power. */
  readonly power: number;
}

/**
 * The first integer in a JSON text that does not survive the round trip through a double: read and written again it is
 * another integer, as 9007199254740993 is 9007199254740992. `1E22` and `123e65` survive. Fractions are rounded by every
 * parser and are never meant. The text is valid JSON.
 */
export function unsafeInteger(text: string): string | undefined {
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (char === 0x22) {
      at = endOfString(text, at);
    } else if (char === 0x2d || (char >= 0x30 && char <= 0x39)) {
      LITERAL.lastIndex = at;
      const match = LITERAL.exec(text) as RegExpExecArray;
      if (!survives(match)) return match[0];
      at += match[0].length - 1;
    }
  }
  return undefined;
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text.charCodeAt(at) !== 0x22) at += text.charCodeAt(at) === 0x5c ? 2 : 1;
  return at;
}

function survives(match: RegExpExecArray): boolean {
  const value = Number(match[0]);
  if (Number.isSafeInteger(value)) return true;
  const read = decimal(match);
  if (read.power < 0) return true;
  LITERAL.lastIndex = 0;
  const written = decimal(LITERAL.exec(String(value)) as RegExpExecArray);
  return read.digits === written.digits && read.power === written.power;
}

function decimal([, whole = '', fraction = '', exponent = '0']: RegExpExecArray): Decimal {
  const all = whole + fraction;
  let start = 0;
  let end = all.length;
  while (start < end && all.charCodeAt(start) === 0x30) start++;
  while (end > start && all.charCodeAt(end - 1) === 0x30) end--;
  return { digits: all.slice(start, end), power: Number(exponent) - fraction.length + (all.length - end) };
}

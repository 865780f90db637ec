/** A regular expression as JSON Schema reads it: with the flag `u`, and no other. */
export interface UnicodePattern {
  readonly source: string;
  /** Whether it is the same for texts with characters beyond U+FFFF, which are two characters to an expression without `u`. */
  readonly astral: 'same' | 'differs';
}

/** Longest source that is translated, and longest translation. */
const MAX_SOURCE = 2000;
const MAX_PATTERN = 20_000;

const SURROGATES: readonly [number, number] = [0xd800, 0xdfff];
const BMP_END = 0xffff;

/** What a line ends with, for `^` and `$` of the flag `m`. */
const LINE_END = '[\\n\\r\\u2028\\u2029]';

/**
 * The expression in the form that JSON Schema demands, or undefined where there is none that matches the same texts. Each
 * single character that it looks for is found by asking the engine what it matches, so what `i` or an old escape means is not
 * decided here.
 */
export function unicodePattern({ source, flags }: RegExp): UnicodePattern | undefined {
  if (source.length > MAX_SOURCE || /[yv]/.test(flags)) return undefined;
  let found: UnicodePattern | undefined;
  if (flags.includes('u')) found = /[ims]/.test(flags) ? undefined : { source, astral: 'same' };
  else found = new Translator(source, flags).translate();
  return found && found.source.length <= MAX_PATTERN && compiles(found.source) ? found : undefined;
}

function compiles(source: string): boolean {
  try {
    return Boolean(new RegExp(source, 'u'));
  } catch {
    return false;
  }
}

/** Thrown inside for what has no translation. */
class Untranslatable extends Error {}

class Translator {
  readonly #atomFlags: string;
  readonly #multiline: boolean;
  readonly #groups: number;
  #astral: UnicodePattern['astral'] = 'same';
  readonly #source: string;

  constructor(source: string, flags: string) {
    this.#source = source;
    this.#atomFlags = flags.replace(/[^is]/g, '');
    this.#multiline = flags.includes('m');
    // The alternative matches the empty text, so there is a result, with a place for each group.
    this.#groups = (new RegExp(`${source}|`).exec('') as RegExpExecArray).length - 1;
  }

  translate(): UnicodePattern | undefined {
    try {
      let out = '';
      for (let at = 0; at < this.#source.length;) {
        const [taken, text] = this.#next(this.#source.slice(at));
        out += text;
        at += taken;
      }
      return { source: out, astral: this.#astral };
    } catch (error) {
      if (error instanceof Untranslatable) return undefined;
      throw error;
    }
  }

  /** The length of what comes next, and its translation. */
  #next(rest: string): readonly [length: number, text: string] {
    const char = rest.charAt(0);
    if (char === '\\') return this.#escape(rest);
    if (char === '[') {
      const [text] = /^\[(?:[^\]\\]|\\[^])*\]/.exec(rest) ?? untranslatable();
      return [text.length, this.#atom(text)];
    }
    if (char === '(') return this.#group(rest);
    if (char === ')' || char === '|') return [1, char];
    if (char === '^' || char === '$') return [1, this.#anchor(char)];
    const [quantifier] = /^(?:[*+?]|\{\d+(?:,\d*)?\})\??/.exec(rest) ?? [];
    return quantifier === undefined ? [1, this.#atom(char)] : [quantifier.length, quantifier];
  }

  #anchor(char: '^' | '$'): string {
    if (!this.#multiline) return char;
    this.#astral = 'differs';
    return char === '^' ? `(?:^|(?<=${LINE_END}))` : `(?:$|(?=${LINE_END}))`;
  }

  #group(rest: string): readonly [number, string] {
    const [head] = /^\((?:\?(?::|<?[=!]|<[\w$]+>)|(?!\?))/.exec(rest) ?? untranslatable();
    if (/[=!]$/.test(head)) this.#astral = 'differs';
    return [head.length, head];
  }

  #escape(rest: string): readonly [number, string] {
    const [text] = /^\\(?:[1-9]\d*|k<[\w$]+>|c[A-Za-z]|x[\dA-Fa-f]{2}|u[\dA-Fa-f]{4}|[^])/.exec(rest) ?? untranslatable();
    const kind = text.charAt(1);
    if (kind === 'b') return [2, text];
    if (kind === 'B') {
      this.#astral = 'differs';
      return [2, text];
    }
    if (/[1-9]/.test(kind) || text.startsWith('\\k<')) return [text.length, this.#backreference(text, rest)];
    // An octal number, or a control letter that is none.
    if (text === '\\c' || (kind === '0' && /^\\0\d/.test(rest))) throw new Untranslatable();
    return [text.length, this.#atom(text)];
  }

  #backreference(text: string, rest: string): string {
    const numbered = Number(text.slice(1)) <= this.#groups;
    const named = text.startsWith('\\k<') && this.#source.includes(`(?<${text.slice(3)}`);
    if ((!numbered && !named) || this.#atomFlags.includes('i')) throw new Untranslatable();
    // `\1` before a digit that is no part of it would become another reference.
    return /^\d/.test(rest.slice(text.length)) ? `(?:${text})` : text;
  }

  /** One character of the text: a literal, a class, a dot. */
  #atom(source: string): string {
    const { text, surrogates } = atomOf(source, this.#atomFlags);
    if (surrogates) this.#astral = 'differs';
    return text;
  }
}

function untranslatable(): never {
  throw new Untranslatable();
}

interface Atom {
  readonly text: string;
  /** It matches halves of characters beyond U+FFFF. */
  readonly surrogates: boolean;
}

const atoms = new Map<string, Atom>();

function atomOf(source: string, flags: string): Atom {
  const key = `${flags}/${source}`;
  let atom = atoms.get(key);
  if (atom === undefined) {
    // An application has few; what a generator of classes would make is not kept.
    if (atoms.size > 1000) atoms.clear();
    atoms.set(key, (atom = readAtom(source, flags)));
  }
  return atom;
}

/** These mean the same with `u`, for texts without characters beyond U+FFFF. */
const SHORT: Readonly<Record<string, Atom>> = {
  '\\d': { text: '\\d', surrogates: false },
  '\\D': { text: '\\D', surrogates: true },
  '\\w': { text: '\\w', surrogates: false },
  '\\W': { text: '\\W', surrogates: true },
  '\\s': { text: '\\s', surrogates: false },
  '\\S': { text: '\\S', surrogates: true },
};

function readAtom(source: string, flags: string): Atom {
  const short = SHORT[source];
  if (short && !flags.includes('i')) return short;
  if (source === '.') return { text: flags.includes('s') ? '[^]' : '.', surrogates: true };
  // What is written in ASCII matches ASCII alone, unless it is a negation or an escape.
  const ascii = /^(?!\[\^)(?:[\x20-\x5b\x5d-\x7e]|\\[dw_ -/:-@[-`{-~])+$/.test(source);
  const ranges = rangesOf(new RegExp(source === '{' || source === '}' ? `\\${source}` : source, flags), ascii ? 0x7f : BMP_END);
  const surrogates = ranges.some(([from, to]) => from <= SURROGATES[1] && to >= SURROGATES[0]);
  return { text: classOf(ranges.flatMap(withoutSurrogates)), surrogates };
}

type Range = readonly [from: number, to: number];

function rangesOf(expression: RegExp, end: number): readonly Range[] {
  const ranges: [number, number][] = [];
  for (let unit = 0; unit <= end; unit++) {
    if (!expression.test(String.fromCharCode(unit))) continue;
    const last = ranges.at(-1);
    if (last?.[1] === unit - 1) last[1] = unit;
    else ranges.push([unit, unit]);
  }
  return ranges;
}

function withoutSurrogates([from, to]: Range): Range[] {
  const parts: Range[] = [
    [from, Math.min(to, SURROGATES[0] - 1)],
    [Math.max(from, SURROGATES[1] + 1), to],
  ];
  return parts.filter(([first, last]) => first <= last);
}

function classOf(ranges: readonly Range[]): string {
  const [first] = ranges;
  if (first && ranges.length === 1 && first[0] === first[1]) return charOf(first[0]);
  const size = ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0);
  if (size <= BMP_END / 2) return `[${ranges.map(rangeText).join('')}]`;
  const gaps: Range[] = [...ranges, [BMP_END + 1, BMP_END + 1] as const].map(([from], index) => [
    (ranges[index - 1]?.[1] ?? -1) + 1,
    from - 1,
  ]);
  return `[^${gaps
    .filter(([from, to]) => from <= to)
    .flatMap(withoutSurrogates)
    .map(rangeText)
    .join('')}]`;
}

const rangeText = ([from, to]: Range): string => {
  const [first, last] = [from, to].map((unit) => (unit === 0x2d ? '\\-' : charOf(unit)));
  return from === to ? `${first}` : `${first}${to === from + 1 ? '' : '-'}${last}`;
};

function charOf(unit: number): string {
  const char = String.fromCharCode(unit);
  if (/[$()*+./?[\\\]^{|}]/.test(char)) return `\\${char}`;
  return /[\dA-Za-z _"'!#%&,:;<=>@`~-]/.test(char) ? char : `\\u${unit.toString(16).toUpperCase().padStart(4, '0')}`;
}

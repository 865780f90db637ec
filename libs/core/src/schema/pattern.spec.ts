import fc from 'fast-check';
import { unicodePattern } from './pattern.js';

/** Parts of expressions as people write them, and as old ones may be written. */
const atom = fc.constantFrom(
  ...[
    'a',
    'B',
    'k',
    'S',
    'é',
    'ß',
    '-',
    ' ',
    '/',
    '1',
    '}',
    ']',
    '{',
    '{,3}',
    '.',
    '\\.',
    '\\-',
    '\\_',
    '\\/',
    '\\ ',
    '\\@',
    '\\a',
    '\\p',
    '\\e',
  ],
  ...[
    '\\d',
    '\\D',
    '\\w',
    '\\W',
    '\\s',
    '\\S',
    '\\b',
    '\\B',
    '\\0',
    '\\n',
    '\\cA',
    '\\x41',
    '\\x4',
    '\\u0041',
    '\\u00e9',
    '\\u004',
    '\\u{41}',
    '\\1',
  ],
  ...[
    '\\8',
    '\\01',
    '\\k',
    '\\k<n>',
    '[a-z]',
    '[^a-z]',
    '[A-Zé]',
    '[\\w-.]',
    '[\\w-]',
    '[.-]',
    '[-a]',
    '[]',
    '[^]',
    '[^\\W]',
    '[\\s\\S]',
    '[\\]^]',
    '[\\b]',
  ],
  ...['[\\-x]', '[k-s]', '[\\u0000-\\uffff]', '[😀]', '[\\d-z]', '^', '$', '😀', '\\ud83d\\ude00', '\\ud83d'],
);
const quantified = fc
  .tuple(atom, fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{1,}', '{0,2}', '+?', '{,2}'))
  .map((parts) => parts.join(''));
const expression = fc.letrec<{ all: string; group: string }>((tie) => ({
  all: fc
    .array(fc.oneof({ depthSize: 'small' }, { weight: 6, arbitrary: quantified }, { weight: 1, arbitrary: tie('group') }), {
      minLength: 1,
      maxLength: 4,
    })
    .map((parts) => parts.join('')),
  group: fc
    .tuple(
      fc.constantFrom('(', '(?:', '(?=', '(?!', '(?<=', '(?<!', '(?<n>'),
      tie('all'),
      fc.constantFrom('', '|', '|b'),
      fc.constantFrom('', '', '*', '?'),
    )
    .map(([head, inside, or, times]) => `${head}${inside}${or})${times}`),
})).all;
const flags = fc.subarray(['i', 'm', 's', 'g', 'd', 'u']).map((all) => all.join(''));
const subject = fc
  .array(
    fc.constantFrom(
      ...[
        'a',
        'b',
        'A',
        'B',
        'k',
        'K',
        '\u212a',
        's',
        'S',
        '\u017f',
        'é',
        'É',
        'ß',
        'ẞ',
        '1',
        '-',
        '_',
        '.',
        '/',
        '}',
        ']',
        '{',
        ' ',
        '\n',
        '\u2028',
        '\0',
        '\u0001',
        '😀',
        '@',
        'x',
        'z',
        '\\',
        '^',
        '\b',
        'u',
        '4',
      ],
    ),
    { maxLength: 5 },
  )
  .map((all) => all.join(''));

const compiled = (source: string, given: string): RegExp | undefined => {
  try {
    return new RegExp(source, given);
  } catch {
    return undefined;
  }
};

const ASTRAL = /[\u{10000}-\u{10ffff}]/u;
const matches = (text: string, from: RegExp): boolean => text.match(from) !== null;

describe('a pattern of JSON Schema', () => {
  it('matches what the expression matches', () => {
    const tally = { translated: 0, left: 0 };
    fc.assert(
      fc.property(expression, flags, fc.array(subject, { minLength: 20, maxLength: 20 }), (source, given, texts) => {
        const original = compiled(source, given);
        fc.pre(original !== undefined);
        const pattern = unicodePattern(original);
        if (!pattern) {
          tally.left += 1;
          return;
        }
        tally.translated += 1;
        const translation = new RegExp(pattern.source, 'u');
        for (const text of texts) {
          if (pattern.astral === 'differs' && ASTRAL.test(text)) continue;
          expect([String(original), pattern.source, text, matches(text, translation)]).toEqual([
            String(original),
            pattern.source,
            text,
            matches(text, original),
          ]);
        }
      }),
      { numRuns: Number(process.env['LOOPSTACK_PROPERTY_RUNS'] ?? 800) },
    );
    expect(tally.translated).toBeGreaterThan(tally.left);
  });

  it.each([
    [/^[a-z]+$/, '^[a-z]+$', 'same'],
    [/^\d{4}-\d{2}$/, '^\\d{4}-\\d{2}$', 'same'],
    [/^[a-z]$/i, '^[A-Za-z]$', 'same'],
    [/^ab$/i, '^[Aa][Bb]$', 'same'],
    [/^[\w-.]+$/, '^[\\-\\.0-9A-Z_a-z]+$', 'same'],
    [new RegExp('a\\-b\\_'), 'a-b_', 'same'],
    [/^.$/, '^.$', 'differs'],
    [/^a$/m, '(?:^|(?<=[\\n\\r\\u2028\\u2029]))a(?:$|(?=[\\n\\r\\u2028\\u2029]))', 'differs'],
    [/^\p{Lu}/u, '^\\p{Lu}', 'same'],
  ])('for %s is %s', (original, source, astral) => {
    expect(unicodePattern(original)).toEqual({ source, astral });
  });

  it.each([
    ['sticky', /a/y],
    ['of sets', new RegExp('[[a-z]--[b]]', 'v')],
    ['of Unicode in any case', /[k]/iu],
    ['with an octal escape', new RegExp('\\01')],
    ['with a repeated look-ahead', new RegExp('(?=a)*b')],
    ['with a back reference in any case', /(a)\1/i],
    ['longer than any that a person writes', new RegExp('a'.repeat(5000))],
  ])('there is none for an expression %s', (_, original) => {
    expect(unicodePattern(original)).toBeUndefined();
  });
});

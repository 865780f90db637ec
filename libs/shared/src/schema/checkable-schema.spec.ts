import { checkableSchema, uncheckedText } from './checkable-schema.js';

/** Schema, what stays of it, and what is left out: path and rule. */
const CASES: readonly (readonly [what: string, schema: unknown, kept: unknown, left: readonly string[]])[] = [
  ['a good one', { type: 'object', required: ['a'], properties: { a: { type: ['string', 'null'], pattern: '^a' } } }, undefined, []],
  [
    'an expression that is none',
    { properties: { a: { type: 'string', pattern: '(' } } },
    { properties: { a: { type: 'string' } } },
    ['a pattern'],
  ],
  ['one that is none with u', { properties: { a: { pattern: '[\\w-.]' } } }, { properties: { a: {} } }, ['a pattern']],
  ['a reference to nothing', { items: { $ref: '#/$defs/Gone' } }, { items: {} }, ['[] $ref']],
  ['a reference to a host', { $ref: 'http://127.0.0.1/schema.json' }, {}, [' $ref']],
  [
    'a reference to a file',
    { allOf: [{ $ref: 'file:///etc/passwd' }, { type: 'object' }] },
    { allOf: [{}, { type: 'object' }] },
    [' $ref'],
  ],
  ['a reference to an anchor', { $ref: '#Line' }, {}, [' $ref']],
  ['a reference that is none', { $ref: 7 }, {}, [' $ref']],
  [
    'a circle',
    { properties: { a: { $ref: '#/$defs/A' } }, $defs: { A: { $ref: '#/$defs/B' }, B: { anyOf: [{ $ref: '#/$defs/A' }] } } },
    expect.anything(),
    ['$defs.A $ref'],
  ],
  ['a root that is itself', { allOf: [{ $ref: '#' }] }, expect.anything(), [' $ref']],
  [
    'types that are none',
    { type: 'text', required: 'a', minimum: '1', minLength: -1, maxItems: 1.5 },
    {},
    [' type', ' required', ' minimum', ' minLength', ' maxItems'],
  ],
  ['names that are no schemas', { properties: [], anyOf: {}, items: 5 }, { items: {} }, [' properties', ' anyOf', '[] schema']],
  ['keywords of nobody', { nullable: true, id: 'x', 'x-ours': 1, type: 'object' }, { type: 'object' }, []],
  ['a schema of its own inside', { properties: { a: { $id: 'http://a/', type: 'string' } } }, { properties: { a: {} } }, ['a $id']],
  ['a not of what is left out', { properties: { a: { not: { pattern: '(' } } } }, { properties: { a: {} } }, ['a pattern', 'a not']],
  [
    'a not of what leads to it',
    { not: { $ref: '#/$defs/A' }, $defs: { A: { pattern: '(' } } },
    expect.anything(),
    ['$defs.A pattern', ' not'],
  ],
  [
    'one of several that is left out',
    { oneOf: [{ pattern: '(' }, { type: 'string' }] },
    { allOf: [{ anyOf: [{}, { type: 'string' }] }] },
    [' pattern'],
  ],
  ['an if of what is left out', { if: { pattern: '(' }, then: { type: 'string' } }, {}, [' pattern', ' if', ' then']],
  [
    'names by a wrong expression',
    { patternProperties: { '(': {} }, additionalProperties: false },
    { patternProperties: {} },
    [' patternProperties'],
  ],
  ['no object', null, {}, [' schema']],
  ['a text', 'schema', {}, [' schema']],
  ['a list', [], {}, [' schema']],
];

describe('what can be checked of a schema', () => {
  it.each(CASES)('without %s', (_, schema, kept, left) => {
    const { schema: checkable, unchecked } = checkableSchema(schema);
    expect(checkable).toEqual(kept ?? schema);
    expect(unchecked.map(({ path, rule }) => `${path} ${rule}`).toSorted()).toEqual([...left].sort());
  });

  it('is nothing of one that is too large, and what is not too deep', () => {
    const large = { properties: Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`p${i}`, { type: 'string' }])) };
    expect(checkableSchema(large)).toMatchObject({
      schema: {},
      unchecked: [{ path: '', reason: expect.stringContaining('3000 parts') as string }],
    });
    const deep = JSON.parse('{"items":'.repeat(20_000) + '{}' + '}'.repeat(20_000)) as object;
    expect(checkableSchema(deep).unchecked).toMatchObject([{ reason: 'it is nested deeper than 64 levels' }]);
  });

  it('is told without control characters', () => {
    const { unchecked } = checkableSchema({ properties: { 'a\n[Nest] forged': { pattern: '(' } } });
    const text = uncheckedText(unchecked, { workspace: 'Shop', workflow: 'Order' });
    expect(text).toBe(
      'The schema of Shop.Order in the catalogue cannot be checked for a?[Nest] forged (pattern: it is no expression): left to the worker',
    );
  });
});

import { schemaCheck } from './schema-check.js';

const SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  additionalProperties: false,
  required: ['id'],
  properties: { id: { type: 'string' }, lines: { type: 'array', items: { $ref: '#/$defs/Line' } } },
  $defs: {
    Line: {
      type: 'object',
      additionalProperties: false,
      required: ['sku'],
      properties: { sku: { type: 'string' }, n: { type: 'integer', minimum: 1 } },
    },
  },
};

describe('a payload against the schema of the catalogue', () => {
  const check = schemaCheck();

  it.each([
    ['a good one', { id: 'a', lines: [{ sku: 'x', n: 1 }] }, []],
    ['a missing field', {}, [{ path: 'id', rule: 'isDefined', received: 'undefined' }]],
    ['a wrong type', { id: 1 }, [{ path: 'id', rule: 'type', received: 'number' }]],
    [
      'a nested field',
      { id: 'a', lines: [{ sku: 'x' }, { sku: 'x', n: 0 }] },
      [{ path: 'lines[1].n', rule: 'minimum', received: 'number' }],
    ],
    ['a field too many', { id: 'a', more: null }, [{ path: 'more', rule: 'whitelistValidation', received: 'null' }]],
    ['no object', [], [{ path: '', rule: 'type', received: 'array' }]],
  ])('%s', (_, payload, expected) => {
    expect(check(SCHEMA, payload)).toEqual(expected.map((error) => expect.objectContaining(error)));
  });
});

it('says of an optional field what is wrong with it, and not that it is not null', () => {
  const schema = { type: 'object', properties: { priority: { anyOf: [{ type: 'integer', maximum: 9 }, { type: 'null' }] } } };
  expect(schemaCheck()(schema, { priority: 12 })).toEqual([
    { path: 'priority', rule: 'maximum', message: 'priority must be <= 9', received: 'number' },
  ]);
  expect(schemaCheck()(schema, { priority: null })).toEqual([]);
});

const SHIP = { workspace: 'Depot', workflow: 'Ship' };

describe('a schema that cannot be checked in part', () => {
  it('refuses by the rest, and tells of the field and the rule once', () => {
    const told: string[] = [];
    const check = schemaCheck({ warn: (text) => told.push(text) });
    const schema = (): object => ({ type: 'object', required: ['a'], properties: { a: { type: 'string', pattern: '(' } } });
    for (let i = 0; i < 3; i++) {
      expect(check(schema() as never, { a: 'x' }, SHIP)).toEqual([]);
      expect(check(schema() as never, {}, SHIP)).toMatchObject([{ path: 'a', rule: 'isDefined' }]);
    }
    expect(told).toEqual([expect.stringMatching(/Depot\.Ship .* a \(pattern: /)]);
  });

  it.each<[string, object, unknown]>([
    ['an expression that backtracks', { properties: { a: { pattern: '^(a+)+$' } } }, { a: `${'a'.repeat(60)}!` }],
    ['an expression of many loops', { properties: { a: { pattern: 'a*a*a*a*a*a*a*a*b' } } }, { a: 'a'.repeat(5000) }],
    ['names that backtrack', { patternProperties: { '^(a+)+$': {} } }, { [`${'a'.repeat(60)}!`]: 1 }],
    [
      'references that double',
      Object.assign(
        { $ref: '#/$defs/A0' },
        {
          $defs: Object.fromEntries(
            Array.from({ length: 60 }, (_, i) => [`A${i}`, { allOf: [{ $ref: `#/$defs/A${i + 1}` }, { $ref: `#/$defs/A${i + 1}` }] }]),
          ),
        },
      ),
      {},
    ],
    [
      'a tree that is tried twice at each level',
      {
        $ref: '#/$defs/T',
        $defs: { T: { anyOf: [1, 2].map((n) => ({ properties: { a: { $ref: '#/$defs/T' }, b: { const: n } }, required: ['b'] })) } },
      },
      Array.from({ length: 60 }).reduce<object>((inner) => ({ a: inner }), {}),
    ],
    ['items that are compared with each other', { uniqueItems: true }, Array.from({ length: 60_000 }, (_, i) => ({ i }))],
  ])('ends soon with %s, and leaves it to the worker', (_, schema, payload) => {
    const told: string[] = [];
    const check = schemaCheck({ warn: (text) => told.push(text) });
    const began = performance.now();
    for (let i = 0; i < 20; i++) expect(check(schema as never, payload, SHIP)).toEqual([]);
    expect(performance.now() - began).toBeLessThan(5000);
    expect(told).toEqual([expect.stringMatching(/Depot\.Ship .*longer than 250 ms/)]);
  });
});

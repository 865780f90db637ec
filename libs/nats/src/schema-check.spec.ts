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

import { compileMapping, compilePatch, compileWhere } from './expression.js';

const COMMAND = { workspace: 'W', workflow: 'F', payload: { n: 1, items: [{ sku: 'a' }] }, userId: 'u' };

describe('a predicate', () => {
  it.each<[string, unknown, boolean]>([
    ['@.n > 0', { n: 1 }, true],
    ['@.n > 0', { n: 0 }, false],
    ['?@.n == 1 && @.s', { n: 1, s: false }, true],
    ['@.missing', { n: 1 }, false],
    ['$.items[?@.sku == "b"]', { items: [{ sku: 'a' }] }, false],
    ['$.items[?@.sku == "b"]', { items: [{ sku: 'b' }] }, true],
    ['$..sku', null, false],
    ['@ == null', null, true],
  ])('%s of %j is %s', (text, payload, expected) => {
    expect(compileWhere(text)(payload)).toBe(expected);
  });

  it('is refused where it is no JSONPath', () => {
    expect(() => compileWhere('@.n >')).toThrow('Option where is invalid: expected JSONPath (RFC 9535)');
  });
});

describe('a patch', () => {
  it('does not carry a value from one command to the next', () => {
    const patch = compilePatch([
      { op: 'add', path: '/payload/tags', value: [] },
      { op: 'add', path: '/payload/tags/-', value: 'x' },
    ]);
    for (const _ of [1, 2]) expect(patch(structuredClone(COMMAND)).payload).toMatchObject({ tags: ['x'] });
  });

  it('is refused where it is none, and refuses what it does not apply to', () => {
    expect(() => compilePatch([{ op: 'change' as 'add', path: '/a' }])).toThrow('JSON Patch (RFC 6902)');
    expect(() => compilePatch([{ op: 'remove', path: '/payload/none' }])(structuredClone(COMMAND))).toThrow('the patch does not apply');
  });
});

describe('a mapping', () => {
  it('takes user and payload from where it is told', () => {
    const map = compileMapping({ workspace: 'W', workflow: 'F', userPath: '$.customer.id', payloadPath: '$.order' });
    expect(map({ customer: { id: 7 }, order: { n: 1 } })).toEqual({ workspace: 'W', workflow: 'F', payload: { n: 1 }, userId: '7' });
    expect(() => map({ order: {} })).toThrow('map.userPath finds nothing');
    expect(() => map({ customer: { id: {} }, order: {} })).toThrow('finds object where a string is needed');
  });

  it('needs one user', () => {
    expect(() => compileMapping({ workspace: 'W', workflow: 'F' })).toThrow('either user or userPath, received neither');
    expect(() => compileMapping({ workspace: 'W', workflow: 'F', user: 'u', userPath: '$' })).toThrow('received both');
  });
});

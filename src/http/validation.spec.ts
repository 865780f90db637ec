import { fieldErrors } from './validation.js';

describe('fieldErrors', () => {
  it('names each rule that refused a field, with its path and the type of what came', () => {
    const found = [
      { property: 'name', value: 7, constraints: { isString: 'name must be a string', isLength: 'name must be longer' } },
      {
        property: 'items',
        children: [
          { property: '0', children: [{ property: 'sku', value: null, constraints: { isString: 'sku must be a string' } }] },
          { property: '12', children: [{ property: 'tags', value: [], constraints: { isInt: 'tags must be an integer' } }] },
        ],
      },
      { property: 'meta', children: [{ property: 'by', constraints: { isDefined: 'by is missing' } }] },
    ];
    expect(fieldErrors(found)).toEqual([
      { path: 'name', rule: 'isString', message: 'name must be a string', received: 'number' },
      { path: 'name', rule: 'isLength', message: 'name must be longer', received: 'number' },
      { path: 'items[0].sku', rule: 'isString', message: 'sku must be a string', received: 'null' },
      { path: 'items[12].tags', rule: 'isInt', message: 'tags must be an integer', received: 'array' },
      { path: 'meta.by', rule: 'isDefined', message: 'by is missing', received: 'undefined' },
    ]);
  });

  it('bounds what a hostile name can make of an answer', () => {
    const property = 'x'.repeat(10_000);
    const [error] = fieldErrors([{ property, value: 1, constraints: { whitelistValidation: `property ${property} should not exist` } }]);
    expect(error!.path).toHaveLength(256);
    expect(error!.message).toHaveLength(256);
  });
});

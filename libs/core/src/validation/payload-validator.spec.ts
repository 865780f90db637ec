import 'reflect-metadata';
import * as v from 'class-validator';
import { Exclude, Expose, Transform, Type } from 'class-transformer';
import { Executor, transformStorage } from './libraries.js';
import { MAX_FIELD_ERRORS, MAX_ITEMS, MAX_LIBRARY_WORK, MAX_TEXT } from './limits.js';
import { payloadValidator } from './payload-validator.js';
import type { Validated } from './payload-validator.js';
import { planOf } from './plan.js';
import { BUILT_IN_RULES } from './rules.js';

class Item {
  @v.IsString()
  @v.IsNotEmpty()
  sku!: string;

  @v.IsInt()
  @v.Min(1)
  quantity = 1;
}

class Address {
  @v.IsString()
  city!: string;
}

class Order {
  @v.IsString()
  id!: string;

  @v.IsOptional()
  @v.IsObject()
  meta?: object;

  @v.ValidateNested()
  @Type(() => Address)
  address!: Address;

  @v.IsArray()
  @v.ValidateNested({ each: true })
  @Type(() => Item)
  items: Item[] = [];
}

const order = (more: object = {}) => ({
  id: 'o-1',
  address: { city: 'Berlin' },
  items: [{ sku: 'a', quantity: 2 }, { sku: 'b' }],
  ...more,
});

function check<T extends object>(cls: new () => T, input: unknown): Validated<T> {
  const result = payloadValidator(cls).validate(input);
  if (result instanceof Promise) throw new Error('a promise where every rule is synchronous');
  return result;
}

function errorsOf(cls: new () => object, input: unknown): readonly string[] {
  const result = check(cls, input);
  return result.ok ? [] : result.errors.map(({ path, rule, received }) => `${path} ${rule} ${received}`);
}

class Checked extends Order {
  // Only the libraries can do this one.
  @v.ValidateIf(() => true)
  @v.IsString()
  note = 'none';

  total(): number {
    return 0;
  }
}

describe('fields that a class does not declare', () => {
  const more = { extra: 1, deep: { a: [1] }, items: [{ sku: 'a', color: 'red' }], address: { city: 'Berlin', zip: '1' } };

  it.each([
    ['compiled', Order],
    ['by the libraries', Checked],
  ])('are stripped or kept, nested ones too (%s)', (_, cls) => {
    const input = order(more);
    const stripped = payloadValidator<Order>(cls, 'strip').validate(input);
    const kept = payloadValidator<Order>(cls, 'keep').validate(input);
    expect(stripped).toMatchObject({ ok: true, value: { items: [{ sku: 'a', quantity: 1 }], address: { city: 'Berlin' } } });
    expect(JSON.stringify(stripped)).not.toMatch(/extra|deep|color|zip/);
    expect(kept).toMatchObject({ ok: true, value: { ...more, items: [{ sku: 'a', quantity: 1, color: 'red' }] } });
    expect(payloadValidator<Order>(cls).validate(input)).toMatchObject({ ok: false });
  });

  it.each([
    ['compiled', Order, 'constructor'],
    ['compiled', Order, '__proto__'],
    ['by the libraries', Checked, 'toString'],
    ['by the libraries', Checked, 'total'],
  ])('are refused in any case where every object or the class has the name (%s, %p, %s)', (_, cls, name) => {
    const input = JSON.parse(JSON.stringify(order()).replace('{', `{${JSON.stringify(name)}:{"polluted":1},`)) as object;
    for (const unknownFields of ['strip', 'keep'] as const) {
      const errors = [{ path: name, rule: 'whitelistValidation' }];
      expect(payloadValidator<Order>(cls, unknownFields).validate(input)).toMatchObject({ ok: false, errors });
    }
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it('are no excuse for what is declared', () => {
    for (const unknownFields of ['strip', 'keep'] as const) {
      const result = payloadValidator(Order, unknownFields).validate(order({ ...more, id: 5, items: [{ sku: '', color: 1 }] }));
      expect(result).toMatchObject({ ok: false, errors: [{ path: 'id' }, { path: 'items[0].sku' }] });
    }
  });
});

describe('a payload validator', () => {
  it('gives an instance of the class, with instances inside and defaults kept', () => {
    const result = check(Order, order());
    if (!result.ok) throw new Error('refused');
    const { value } = result;
    expect([value, value.address, ...value.items].map(({ constructor }) => constructor.name)).toEqual(['Order', 'Address', 'Item', 'Item']);
    expect(value.items[1]).toEqual({ sku: 'b', quantity: 1 });
  });

  it('is compiled where every decorator allows it', () => {
    expect(planOf(Order).obstacles).toEqual([]);
  });

  it('is made once per class', () => {
    expect(payloadValidator(Order)).toBe(payloadValidator(Order));
    expect(payloadValidator(Order)).not.toBe(payloadValidator(Item));
    expect(payloadValidator(Order)).not.toBe(payloadValidator(Order, 'strip'));
  });

  it('names the path, the rule and the type of what is wrong, and never the value', () => {
    const payload = order({
      id: 12345,
      address: null,
      items: [{ sku: 'a', quantity: 'secret' }, 'secret', { sku: '', other: 'secret' }],
      'un known': 1,
    });
    expect(errorsOf(Order, payload)).toEqual([
      '["un known"] whitelistValidation number',
      'id isString number',
      'address nestedValidation null',
      'items[0].quantity min string',
      'items[0].quantity isInt string',
      'items[1] nestedValidation string',
      'items[2].other whitelistValidation string',
      'items[2].sku isNotEmpty string',
    ]);
    expect(JSON.stringify(check(Order, payload))).not.toMatch(/secret|12345/);
  });

  it.each([[null], [undefined], [[]], ['{}'], [5], [true], [new Map()], [new Date()], [() => 1]])('refuses %p as a payload', (input) => {
    const [error, ...more] = errorsOf(Order, input);
    expect(error).toMatch(/^ isObject /);
    expect(more).toEqual([]);
  });

  it('takes an instance of the class as well as plain JSON', () => {
    const value = Object.assign(new Order(), order());
    expect(check(Order, value)).toEqual(check(Order, order()));
  });

  it('shares no object with the payload', () => {
    const meta = { list: [{ a: 1 }] };
    const result = check(Order, order({ meta }));
    if (!result.ok) throw new Error('refused');
    (result.value.meta as typeof meta).list[0]!.a = 2;
    expect(meta).toEqual({ list: [{ a: 1 }] });
  });

  it('reads a class whose types are declared later', () => {
    class Parent {
      @v.ValidateNested()
      @Type(() => later.Child)
      child!: object;
    }
    const validator = payloadValidator(Parent);
    class Child {
      @v.IsInt()
      n!: number;
    }
    const later = { Child };
    expect(validator.validate({ child: { n: 1 } })).toEqual({ ok: true, value: { child: { n: 1 } } });
    expect(errorsOf(Parent, { child: {} })).toEqual(['child.n isInt undefined']);
  });

  it.each([
    ['{"id":"a","__proto__":{"admin":true}}', ['["__proto__"]']],
    ['{"id":"a","constructor":{"prototype":{"admin":true}}}', ['constructor']],
    ['{"id":"a","toString":"x"}', ['toString']],
    ['{"id":"a","address":{"city":"b","constructor":1}}', ['address.constructor']],
    ['{"id":"a","meta":{"x":[{"__proto__":{"admin":true}}]}}', ['meta.x[0].__proto__']],
  ])('shows the inherited keys of %s as errors', (json, paths) => {
    const result = check(Order, JSON.parse(json));
    expect(result).toMatchObject({
      ok: false,
      errors: paths.map((path) => ({ path: path.replace(/\["(\w+)"\]/, '$1'), rule: 'whitelistValidation' })),
    });
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });

  it('refuses the name of a method, which class-transformer drops', () => {
    class WithMethod {
      @v.IsInt()
      n!: number;

      total(): number {
        return this.n;
      }
    }
    expect(errorsOf(WithMethod, { n: 1, total: 5 })).toEqual(['total whitelistValidation number']);
  });

  it('calls a number that class-validator cannot count the decimals of invalid', () => {
    class Price {
      @v.IsNumber({ maxDecimalPlaces: 2 })
      amount!: number;
    }
    expect(errorsOf(Price, { amount: 1e-7 })).toEqual(['amount isNumber number']);
  });

  it('runs the decorator that is there, not the one that its name suggests', () => {
    const even: v.ValidatorConstraintInterface = {
      validate: (value, args) => (value as number) % 2 === 0 && Object.hasOwn(args!.object, 'n'),
    };
    class Even {
      @v.ValidateBy({ name: v.IS_INT, validator: even })
      n!: number;
    }
    expect(planOf(Even).obstacles).toEqual([]);
    expect(errorsOf(Even, { n: 2 })).toEqual([]);
    expect(errorsOf(Even, { n: 3 })).toEqual(['n isInt number']);
  });

  it('waits for a promise that hides behind the name of a synchronous rule', async () => {
    class Hidden {
      @v.ValidateBy({ name: v.IS_INT, validator: { validate: (value) => Promise.resolve(value === 1) } })
      n!: number;
    }
    await expect(payloadValidator(Hidden).validate({ n: 1 })).resolves.toMatchObject({ ok: true });
    await expect(payloadValidator(Hidden).validate({ n: 2 })).resolves.toMatchObject({ ok: false, errors: [{ path: 'n', rule: 'isInt' }] });
  });

  it('closes the holes of an array, as class-transformer does', () => {
    const items: object[] = [];
    items[2] = { sku: 'a' };
    expect(check(Order, order({ items }))).toMatchObject({ ok: true, value: { items: [{ sku: 'a', quantity: 1 }] } });
  });

  it('validates a default by its own class', () => {
    class Fallback {
      @v.IsInt()
      city = 'nowhere';
    }
    class Parcel {
      @v.ValidateNested()
      @Type(() => Address)
      address: object = new Fallback();
    }
    expect(planOf(Parcel).obstacles).toEqual([]);
    expect(errorsOf(Parcel, {})).toEqual(['address.city isInt string']);
    expect(errorsOf(Parcel, { address: { city: 'Berlin' } })).toEqual([]);
  });

  it('survives a cycle', () => {
    const payload: Record<string, unknown> = order();
    payload['meta'] = { payload };
    expect(errorsOf(Order, payload)).toEqual([' check object']);
  });

  it('takes property names that look like code', () => {
    const name = '"];throw 1;//`${1}\u2028\\';
    class Odd {}
    v.IsInt()(Odd.prototype, name);
    expect(planOf(Odd).obstacles).toEqual([]);
    expect(check(Odd, { [name]: 1 })).toEqual({ ok: true, value: { [name]: 1 } });
    expect(errorsOf(Odd, { [name]: '1' })).toEqual([`[${JSON.stringify(name)}] isInt string`]);
  });
});

describe('the size of a payload', () => {
  let built = 0;
  class Counted {
    @v.IsInt()
    n!: number;

    constructor() {
      built += 1;
    }
  }
  class Undeclared {
    @v.ValidateNested({ each: true })
    @Type(() => Counted)
    items!: Counted[];
  }
  class Declared {
    @v.ArrayMaxSize(300_000)
    @v.ValidateNested({ each: true })
    @Type(() => Counted)
    items!: Counted[];
  }
  class Small {
    @v.ArrayMaxSize(3)
    @v.ValidateNested({ each: true })
    @Type(() => Counted)
    items!: Counted[];
  }
  class Record {
    @v.IsObject()
    map!: object;
  }
  class ByLibrary {
    @v.ArrayMaxSize(300_000)
    @v.ValidateIf(() => true)
    items!: unknown[];
  }
  const bad = { items: Array.from({ length: 200_000 }, () => ({ n: 'x' })) };

  it('is refused by array before an item is looked at', () => {
    check(Undeclared, {});
    built = 0;
    expect(check(Undeclared, bad)).toEqual({
      ok: false,
      errors: [
        {
          path: 'items',
          rule: 'payloadTooManyItems',
          message: `items has more than ${MAX_ITEMS} items; @ArrayMaxSize can allow them`,
          received: 'array',
        },
      ],
    });
    expect(built).toBeLessThan(2);
  });

  it('is refused by @ArrayMaxSize, alone where the array is far larger and with its items where it is not', () => {
    expect(errorsOf(Small, bad)).toEqual(['items arrayMaxSize array']);
    expect(errorsOf(Small, { items: bad.items.slice(0, 4) })).toHaveLength(5);
  });

  it('may be raised by @ArrayMaxSize; errors then end at the limit', () => {
    expect(errorsOf(Declared, bad)).toEqual(Array.from({ length: MAX_FIELD_ERRORS }, (_, index) => `items[${index}].n isInt string`));
    expect(check(Declared, { items: bad.items.map((_, n) => ({ n })) })).toMatchObject({ ok: true });
  });

  it('is limited by property', () => {
    const map = (size: number) => ({ map: Object.fromEntries(Array.from({ length: size }, (_, index) => [`k${index}`, index])) });
    expect(errorsOf(Record, map(MAX_ITEMS))).toEqual([]);
    expect(errorsOf(Record, map(MAX_ITEMS + 1))).toEqual(['map payloadTooManyItems object']);
    expect(errorsOf(Record, { map: {}, ...map(MAX_ITEMS).map })).toHaveLength(MAX_FIELD_ERRORS);
  });

  it('is limited as a whole where only the libraries can check it', () => {
    expect(errorsOf(ByLibrary, { items: bad.items.slice(0, 1000) })).toEqual([]);
    expect(errorsOf(ByLibrary, bad)).toEqual([' payloadTooManyItems object']);
    const keys = Object.fromEntries(Array.from({ length: MAX_ITEMS }, (_, index) => [`k${index}`, index]));
    expect(errorsOf(ByLibrary, { items: [keys] })).toEqual([' payloadTooManyItems object']);
    expect(MAX_ITEMS ** 2 / 1000).toBeGreaterThanOrEqual(MAX_LIBRARY_WORK);
  });

  it('does not reach the errors: long keys are cut', () => {
    const result = check(Record, { map: {}, ['k'.repeat(100_000)]: 1 });
    if (result.ok) throw new Error('accepted');
    expect(result.errors).toHaveLength(1);
    expect(result.errors[0]!.path.length).toBeLessThanOrEqual(MAX_TEXT);
    expect(result.errors[0]!.message.length).toBeLessThanOrEqual(MAX_TEXT);
  });
});

describe('what only the libraries can do', () => {
  abstract class Shape {
    @v.IsIn(['circle', 'square'])
    kind!: string;
  }
  class Circle extends Shape {
    @v.IsPositive()
    radius!: number;
  }
  class Square extends Shape {
    @v.IsPositive()
    side!: number;
  }
  class Conditional {
    @v.ValidateIf(({ b }: Conditional) => b !== undefined)
    @v.IsInt()
    a!: number;

    @v.Allow()
    b!: unknown;
  }
  class ConditionalRule {
    @v.IsInt({ validateIf: (_, value) => value !== 'none' })
    a!: number;
  }
  class Trimmed {
    @v.IsString()
    @Transform(({ value }: { value: string }) => value.trim())
    a!: string;
  }
  class Renamed {
    @v.IsString()
    @Expose({ name: 'A' })
    a!: string;
  }
  class Excluding {
    @v.IsOptional()
    @v.IsString()
    @Exclude()
    a?: string;
  }
  class Drawing {
    @v.ValidateNested({ each: true })
    @Type(() => Shape, {
      keepDiscriminatorProperty: true,
      discriminator: {
        property: 'kind',
        subTypes: [
          { value: Circle, name: 'circle' },
          { value: Square, name: 'square' },
        ],
      },
    })
    shapes!: Shape[];
  }
  class Tags {
    @v.IsString({ each: true })
    @Type(() => String)
    tags!: Set<string>;
  }
  class Accessor {
    #kept = 0;

    @v.IsInt()
    get a(): number {
      return this.#kept;
    }

    set a(value: number) {
      this.#kept = value;
    }
  }
  class Undecorated {
    @v.IsInt()
    a!: number;

    b = 1;
  }
  class Untyped {
    @v.ValidateNested()
    a!: object;
  }
  const lookUp = (value: unknown) =>
    value === 'down' ? Promise.reject(new Error('the database is down')) : Promise.resolve(value === 'known');
  class LookedUp {
    @v.ValidateBy({ name: 'isKnown', async: true, validator: { validate: lookUp, defaultMessage: () => '$property is unknown' } })
    a!: string;
  }
  class Custom {
    @v.ValidateBy({ name: 'isOurs', validator: { validate: (value) => value === 'ours' } })
    a!: string;
  }

  it.each<[new () => object, RegExp, object | undefined, object, readonly string[]]>([
    [Conditional, /conditionally/, { a: 'x' }, { a: 'x', b: 1 }, ['a isInt string']],
    [ConditionalRule, /conditionally/, { a: 'none' }, { a: 'x' }, ['a isInt string']],
    [Trimmed, /@Transform/, { a: ' x ' }, { a: 1 }, [' transform object']],
    [Renamed, /@Expose/, { A: 'x' }, { b: 1 }, ['b whitelistValidation number', 'a isString undefined']],
    [Excluding, /@Exclude/, { a: 5 }, { b: 5 }, ['b whitelistValidation number']],
    [
      Drawing,
      /depends on the value/,
      { shapes: [{ kind: 'circle', radius: 1 }] },
      { shapes: [{ kind: 'square', side: -1 }] },
      ['shapes[0].side isPositive number'],
    ],
    [Tags, /collection/, { tags: ['a', 1] }, { tags: 1, a: 1 }, ['a whitelistValidation number']],
    [Accessor, /accessor/, { a: 1 }, { a: 'x' }, ['a isInt string']],
    [Custom, /custom validator/, { a: 'ours' }, { a: 'theirs' }, ['a isOurs string']],
    [Undecorated, /default but no decorator/, undefined, { a: 1 }, ['b whitelistValidation number']],
    [Untyped, /without the other/, {}, { a: {} }, ['a unknownValue object']],
  ])('is left to them: %p', (cls, obstacle, valid, invalid, errors) => {
    expect(planOf(cls).obstacles.join('\n')).toMatch(obstacle);
    if (valid) expect(errorsOf(cls, valid)).toEqual([]);
    expect(errorsOf(cls, invalid)).toEqual(errors);
  });

  it('includes waiting, where a validator is asynchronous and only there', async () => {
    const validator = payloadValidator(LookedUp);
    expect(validator.validate({ b: 1, a: 'known' })).toBeInstanceOf(Promise);
    await expect(validator.validate({ a: 'known' })).resolves.toEqual({ ok: true, value: { a: 'known' } });
    await expect(validator.validate({ a: 'other' })).resolves.toEqual({
      ok: false,
      errors: [{ path: 'a', rule: 'isKnown', message: 'a is unknown', received: 'string' }],
    });
  });

  it('fails when a validator fails: that says nothing about the payload', async () => {
    await expect(payloadValidator(LookedUp).validate({ a: 'down' })).rejects.toThrow('the database is down');
  });

  it('is reached through the very modules that decorators write to', () => {
    expect(transformStorage?.findTypeMetadata(Order, 'items').typeFunction()).toBe(Item);
    expect(Executor).toBeDefined();
    for (const rule of ['isInt', 'isUuid', 'arrayMaxSize', 'matches', 'isDefined']) expect(BUILT_IN_RULES).toContain(rule);
  });
});

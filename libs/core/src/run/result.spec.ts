import { jest } from '@jest/globals';
import { lossInJson, type JsonOf } from '@loopstack/shared';
import fc from 'fast-check';
import type { RegisteredWorkflow } from '../declare/registry.js';
import { outcomeOf } from './result.js';
import type { Delivery } from './prepare.js';
import { ExecutionRunContext } from './run-context.js';
import type { ResultOf } from '../declare/workflow.js';

/** True where two types are the same one, so that a line with a wrong one does not compile. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <_ extends true>(): void => undefined;

class Money {
  readonly #cents: number;
  constructor(
    cents: number,
    readonly currency: string,
  ) {
    this.#cents = cents;
  }
  toJSON(): { cents: number; since: Date } {
    return { cents: this.#cents, since: new Date(0) };
  }
}

class Hidden {
  readonly #cents = 1;
  get cents(): number {
    return this.#cents;
  }
}

class Receipt {
  id = 'r1';
  paidAt = new Date(0);
  note?: string;
  discount: number | undefined;
  lines: readonly { sku: string; at: Date; gone?: Date }[] = [];
  pair: [Date, number?] = [new Date(0)];
  total(): number {
    return 0;
  }
}

interface Tree {
  at: Date;
  children: Tree[];
}

class Returns {
  async run(): Promise<Receipt> {
    return new Receipt();
  }
}

class ReturnsNothing {
  run(): void {
    return undefined;
  }
}

class ReturnsMap {
  run(): Map<string, number> {
    return new Map();
  }
}

describe('the type of a result', () => {
  it('is what JSON brings back, in every form of a value', () => {
    same<
      Same<
        ResultOf<typeof Returns>,
        {
          id: string;
          paidAt: string;
          lines: readonly { sku: string; at: string; gone?: string }[];
          pair: [string, (number | null)?];
          note?: string;
          discount?: number;
        }
      >
    >();
    same<Same<ResultOf<typeof ReturnsNothing>, void>>();
    same<Same<JsonOf<Date>, string>>();
    same<Same<JsonOf<Date | null | undefined>, string | null | undefined>>();
    same<Same<JsonOf<'a' | 'b'>, 'a' | 'b'>>();
    same<Same<JsonOf<boolean>, boolean>>();
    same<Same<JsonOf<Buffer>, { type: 'Buffer'; data: number[] }>>();
    same<Same<JsonOf<Money>, { cents: number; since: string }>>();
    same<Same<JsonOf<(Date | undefined)[]>, (string | null)[]>>();
    same<Same<JsonOf<Record<string, Date>>, { [x: string]: string }>>();
    same<Same<JsonOf<unknown>, unknown>>();
    // oxlint-disable-next-line typescript/no-explicit-any -- what is not typed stays so
    same<Same<JsonOf<any>, any>>();
    same<Same<JsonOf<Tree>['children'][number]['children'][number]['at'], string>>();
    // And as it is at run time.
    const receipt: ResultOf<typeof Returns> = JSON.parse(JSON.stringify(new Receipt())) as ResultOf<typeof Returns>;
    expect(receipt).toEqual({ id: 'r1', paidAt: '1970-01-01T00:00:00.000Z', lines: [], pair: ['1970-01-01T00:00:00.000Z'] });
  });

  it('is never for what JSON would lose, so that using it does not compile', () => {
    same<Same<ResultOf<typeof ReturnsMap>, never>>();
    same<Same<JsonOf<Set<string>>, never>>();
    same<Same<JsonOf<ReadonlyMap<string, string>>, never>>();
    same<Same<JsonOf<bigint>, never>>();
    same<Same<JsonOf<Error>, never>>();
    same<Same<JsonOf<{ tags: Set<string>; n: number }>, { tags: never; n: number }>>();
    const read = (result: ResultOf<typeof Returns>): void => {
      // @ts-expect-error a string has no getTime
      result.paidAt?.getTime();
      // @ts-expect-error the method is gone
      result.total?.();
    };
    expect(typeof read).toBe('function');
  });
});

const workflow = { workflow: 'Pay', options: { record: 'outcome', resultLimitBytes: 65_536 } } as RegisteredWorkflow;

describe('a result', () => {
  it.each<[string, unknown, string]>([
    ['a Map', { rates: new Map([['a', 1]]) }, 'rates is a Map: pass an object (Object.fromEntries) or its entries'],
    ['a Set', [{ tags: new Set(['a']) }], '[0].tags is a Set: pass an array ([...set])'],
    ['an Error', { 'last error': new TypeError('no') }, '["last error"] is a TypeError: pass { name, message }'],
    ['an Error with fields', Object.assign(new Error('no'), { code: 1 }), 'the result is an Error'],
    ['NaN', { items: [1, Number.NaN] }, 'items[1] is NaN: pass null or a text'],
    ['Infinity', -Infinity, 'the result is -Infinity'],
    ['a function', { format: () => '' }, 'format is a function: leave it out'],
    ['a symbol', [Symbol('x')], '[0] is a symbol'],
    ['a field with a symbol for a name', { a: { [Symbol('s')]: 1 } }, 'a[Symbol(s)] is a field whose name is a symbol'],
    ['an invalid Date', { at: new Date('x') }, 'at is an invalid Date'],
    ['a promise', { later: Promise.resolve(1) }, 'later is a Promise: wait for it'],
    ['a regular expression', /x/, 'the result is a RegExp'],
    ['an ArrayBuffer', { bytes: new ArrayBuffer(1) }, 'bytes is an ArrayBuffer'],
    ['private state alone', { price: new Hidden() }, 'price is a Hidden without fields of its own'],
    ['a search', { query: new (class extends Map {})() }, 'query is an object: pass an object'],
    ['a toJSON that loses', { toJSON: () => ({ seen: new Set() }) }, 'seen is a Set'],
    [
      'a toJSON that returns itself',
      new (class Own {
        m = new Map();
        toJSON(): this {
          return this;
        }
      })(),
      'm is a Map',
    ],
    ['a toJSON that returns a Date', { at: { toJSON: () => new Date(0) } }, 'at is a Date without fields of its own'],
    [
      'a generator',
      {
        all: (function* () {
          yield 1;
        })(),
      },
      'all is an object',
    ],
    ['a search of a URL', { query: new URLSearchParams('a=1') }, 'query is a URLSearchParams'],
    ['a toJSON that returns nothing', { a: { toJSON: () => undefined } }, 'a is an Object whose toJSON returns nothing'],
    ['BigInt', { n: 1n }, 'BigInt'],
  ])('that holds %s fails the run for good, with the path, the type and the remedy', (_, result, reason) => {
    const outcome = outcomeOf(workflow, result);
    expect(outcome).toMatchObject({ kind: 'failed', retryable: false, error: { code: 'RESULT_UNSERIALIZABLE' } });
    expect((outcome as { error: Error }).error.message).toContain(reason);
  });

  it('that JSON keeps is recorded as JSON writes it', () => {
    const kept = {
      at: new Date(0),
      bytes: Buffer.from('ab'),
      money: new Money(1, 'EUR'),
      receipt: new Receipt(),
      empty: new (class Empty {})(),
      boxed: Object('text') as unknown,
      none: undefined,
      holes: [undefined, null],
      bare: Object.assign(Object.create(null) as object, { a: 1 }),
      typed: new Uint8Array([1]),
      url: new URL('http://localhost/'),
    };
    expect(outcomeOf(workflow, kept)).toEqual({ kind: 'succeeded', json: JSON.stringify(kept) });
  });

  it('of plain data is never refused', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        expect(lossInJson(value)).toBeUndefined();
      }),
    );
  });
});

describe('progress', () => {
  it('that JSON would lose is told of in the log instead of being recorded', async () => {
    const reported: unknown[] = [];
    const report = (value: unknown): Promise<void> => Promise.resolve(void reported.push(value));
    const source = { workspace: 'Shop', workflow: 'Pay' };
    const delivery = { deliveries: 1, headers: { entries: () => [] } } as unknown as Delivery;
    const context = new ExecutionRunContext(source, { runId: 'r1', delivery }, 'u1', 1, report);
    const warn = jest.spyOn(context.logger, 'warn').mockImplementation(() => undefined);
    for (const value of [{ seen: new Set() }, 1n, { percent: 50 }]) await context.progress(value);
    expect(reported).toEqual([{ percent: 50 }]);
    expect(warn.mock.calls.map(([line]) => line as string)).toEqual([
      'Progress was not recorded: seen is a Set: pass an array ([...set])',
      expect.stringContaining('BigInt'),
    ]);
    expect(context.logger).toMatchObject({ context: 'Pay r1' });
    warn.mockRestore();
  });
});

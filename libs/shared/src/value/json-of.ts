type AnyFunction = (...args: never[]) => unknown;

/** Values of which JSON keeps nothing; a result that holds one is refused where it is recorded. */
type Lost =
  | bigint
  | symbol
  | AnyFunction
  | ReadonlyMap<unknown, unknown>
  | ReadonlySet<unknown>
  | WeakMap<never, unknown>
  | WeakSet<never>
  | PromiseLike<unknown>
  | RegExp
  | Error;

/**
 * What comes back of a value that was written as JSON: a Date is a string, a Buffer what its `toJSON` says, a field that may be
 * undefined may be absent, methods are gone. Of what JSON would lose (a Map, a Set, an Error, a bigint) it is `never`: using it does not compile.
 */
export type JsonOf<T> = 0 extends 1 & T
  ? T
  : unknown extends T
    ? T
    : T extends string | number | boolean | null | undefined | void
      ? T
      : T extends { toJSON(...args: never[]): infer Written }
        ? JsonOf<Written>
        : T extends Lost
          ? never
          : T extends readonly unknown[]
            ? { [I in keyof T]: JsonItem<T[I]> }
            : T extends object
              ? JsonFields<T>
              : never;

/** JSON writes null for an item that is undefined. */
type JsonItem<T> = JsonOf<Exclude<T, undefined>> | (unknown extends T ? never : undefined extends T ? null : never);

type WrittenKey<T, K extends keyof T> = K extends symbol ? never : T[K] extends AnyFunction ? (0 extends 1 & T[K] ? K : never) : K;

type JsonFields<T> = Simplified<
  { [K in keyof T as undefined extends T[K] ? never : WrittenKey<T, K>]: JsonOf<T[K]> } & {
    [K in keyof T as undefined extends T[K] ? WrittenKey<T, K> : never]?: JsonOf<Exclude<T[K], undefined>>;
  }
>;

type Simplified<T> = { [K in keyof T]: T[K] };

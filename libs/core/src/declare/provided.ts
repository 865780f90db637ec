import type { Type } from '@nestjs/common';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';

/** A class that a provider stands for, with its instance: whatever made it. */
export interface Provided {
  readonly type: Type<object>;
  /** Undefined for request-scoped and transient providers. */
  readonly instance: object | undefined;
  readonly module: string;
  /** Key of the module in Nest's container; undefined for none. */
  readonly moduleKey: string | undefined;
}

/**
 * The classes among `wrappers` that `wanted` accepts, each once. A provider stands for the class that is its token (also where a test
 * overrides it with a value), for the class that `useClass` names, and for the class of what a factory or a value is.
 */
export function provided(wrappers: readonly InstanceWrapper[], wanted: (type: Type<object>) => boolean): readonly Provided[] {
  const found = new Map<Type<object>, Provided>();
  for (const wrapper of wrappers) {
    const instance = wrapper.isDependencyTreeStatic() && !wrapper.isTransient ? (wrapper.instance as unknown) : undefined;
    const own = typeof instance === 'object' && instance !== null ? instance : undefined;
    for (const type of new Set([wrapper.token, wrapper.metatype, own && classOf(own)])) {
      if (typeof type !== 'function' || !wanted(type as Type<object>)) continue;
      const before = found.get(type as Type<object>);
      // The provider whose token is the class is the one that others are aliases of, and that a test overrides.
      if (before && (before.instance === own || wrapper.token !== type)) continue;
      found.set(type as Type<object>, {
        type: type as Type<object>,
        instance: own,
        module: wrapper.host?.name ?? 'no module',
        moduleKey: wrapper.host?.token,
      });
    }
  }
  return [...found.values()];
}

/** One for each instance: the class that it is of, else the one that it stands for. */
export function ofOneClass(all: readonly Provided[]): readonly Provided[] {
  const chosen = new Map<object, Provided>();
  for (const each of all) {
    const key = each.instance ?? each.type;
    if (!chosen.has(key) || classOf(key) === each.type) chosen.set(key, each);
  }
  return [...chosen.values()];
}

function classOf(instance: object): unknown {
  try {
    return instance.constructor;
  } catch {
    // A proxy whose traps throw.
    return undefined;
  }
}

import type { MemoryRuntime } from './broker/memory-runtime.js';

const runtimes = new WeakMap<object, MemoryRuntime>();

/** Remembers the runtime that stands behind a handle or a service. */
export function standsBehind<T extends object>(runtime: MemoryRuntime, given: T): T {
  runtimes.set(given, runtime);
  return given;
}

/** The runtime behind a handle or a service, where it is one of this package. */
export function runtimeOf(given: unknown): MemoryRuntime | undefined {
  return typeof given === 'object' && given !== null ? runtimes.get(given) : undefined;
}

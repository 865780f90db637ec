import type { Config } from '@loopstack/jetstream';

/** Whether what the server has satisfies what is wanted; the server adds fields and defaults of its own. */
export function satisfies(actual: unknown, desired: unknown): boolean {
  if (Array.isArray(desired)) {
    if (desired.length === 0 && (actual === undefined || actual === null)) return true;
    if (!Array.isArray(actual) || actual.length !== desired.length) return false;
    if (desired.every((d) => typeof d === 'string')) return desired.every((d) => actual.includes(d));
    return desired.every((d, i) => satisfies(actual[i], d));
  }
  if (typeof desired === 'object' && desired !== null) {
    return (
      typeof actual === 'object' &&
      actual !== null &&
      Object.entries(desired).every(([key, value]) => satisfies((actual as Config)[key], value))
    );
  }
  // The server leaves zero values out.
  return actual === desired || ((actual === undefined || actual === null) && (desired === false || desired === 0 || desired === ''));
}

/** Fields that the server does not change, or not always: where an update is refused, one of these is the reason. */
const FIXED = ['storage', 'retention', 'deliver_policy', 'ack_policy', 'replay_policy', 'mem_storage'];

/** Names of the required fields in which an existing configuration differs; those that cannot be changed come first. */
export function drift(actual: Config, desired: Config, required: readonly string[]): string[] {
  const differing = required.filter((field) => !satisfies(actual[field], desired[field]));
  return [...differing.filter((field) => FIXED.includes(field)), ...differing.filter((field) => !FIXED.includes(field))];
}

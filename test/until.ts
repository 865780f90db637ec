import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';

const POLL_MS = 20;

/**
 * Waits for an observable fact: calls `fact` until it is truthy, and returns what it returned.
 * @throws Error naming `what` after the deadline; an error of `fact` counts as "not yet" and is told then
 */
export async function until<T>(what: string, fact: () => T | Promise<T>, deadlineMs = 20_000): Promise<NonNullable<T>> {
  const end = Date.now() + deadlineMs;
  let last: unknown;
  for (;;) {
    try {
      last = undefined;
      const found = await fact();
      if (found) return found;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`, { cause: last });
    await delay(POLL_MS);
  }
}

/**
 * Looks for `ms` milliseconds that there is nothing: where absence is the point, there is no fact to wait for.
 * @throws Error naming `what` as soon as `look` finds something
 */
export async function expectNothingFor(ms: number, what: string, look: () => unknown): Promise<void> {
  const end = Date.now() + ms;
  for (;;) {
    const isLast = Date.now() > end;
    const found = await look();
    if (found) throw new Error(`there is ${what}: ${inspect(found)}`);
    if (isLast) return;
    await delay(POLL_MS);
  }
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return performance.now() - from;
}

import { setTimeout as delay } from 'node:timers/promises';

/** Asks until there is an answer (anything but `undefined` and `false`), and fails at the deadline. */
export async function until<T>(what: string, ask: () => T | Promise<T>, deadlineMs = 20_000): Promise<Exclude<T, undefined | false>> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer as Exclude<T, undefined | false>;
    if (Date.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await delay(25);
  }
}

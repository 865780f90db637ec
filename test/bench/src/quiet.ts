import { cpus } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

const WINDOW_MS = 200;
/** Cores at work, of all: what idle servers and an idle system need. */
const CORES = 0.1;
const DEADLINE_MS = 15_000;

/**
 * Waits until nothing of this run is at work: what one contender leaves behind, such as a rewrite of the append-only file,
 * must not be paid by the next. Where others keep the machine busy it gives up after 15 s.
 */
export async function quiet(): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  let before = busyMs();
  for (;;) {
    await delay(WINDOW_MS);
    const now = busyMs();
    if (now - before < CORES * WINDOW_MS || performance.now() > deadline) return;
    before = now;
  }
}

function busyMs(): number {
  return cpus().reduce((sum, { times: { user, nice, sys, irq } }) => sum + user + nice + sys + irq, 0);
}

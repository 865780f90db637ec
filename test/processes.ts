import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';

/** Whether there is a /proc to look into. */
export const hasProc = existsSync('/proc/self/stat');

/** A zombie that nobody has reaped yet runs no more. */
export async function isRunning(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return !/\) Z /.test(await stat(pid));
}

/** Needs a /proc. */
export async function childrenOf(parent: number): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry)).map(Number);
  const stats = await Promise.all(pids.map(stat));
  return pids.filter((_, i) => Number(/\) . (\d+)/.exec(stats[i]!)?.[1]) === parent);
}

/** Children, their children and so on. Needs a /proc. */
export async function descendantsOf(parent: number): Promise<number[]> {
  const children = await childrenOf(parent);
  return [...children, ...(await Promise.all(children.map(descendantsOf))).flat()];
}

/** Needs a /proc. */
export async function commandOf(pid: number): Promise<string> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ');
}

function stat(pid: number): Promise<string> {
  return readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
}

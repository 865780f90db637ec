// Free ports, below the range from which the kernel takes the local ports of outgoing connections. A server that is
// killed and started again needs its port back; in that range a client that keeps on reconnecting to it, or anyone else,
// could be given it meanwhile (a client can even connect to itself so).

import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

const LOWEST = 10_000;
const HIGHEST = 30_000;

/**
 * @param {number} [wanted] a port that is taken as it is; negative or not given: a free one on the loopback address
 * @returns {Promise<number>}
 */
export async function pickPort(wanted = -1) {
  if (wanted >= 0) return wanted;
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = randomInt(LOWEST, HIGHEST);
    if (await isFree(port, '127.0.0.1')) return port;
  }
  throw new Error(`no free port between ${LOWEST} and ${HIGHEST}`);
}

/**
 * @param {number} port
 * @param {string} [host] default: all addresses
 * @returns {Promise<boolean>}
 */
export function isFree(port, host) {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

// The first thing a nats-server says on a new connection is INFO {json}: version, name and abilities, before any login.

import { connect } from 'node:net';

/** JetStream with everything this project uses (message schedules, atomic batches) starts here. */
export const MINIMUM_VERSION = '2.12.0';

/**
 * @typedef {object} ServerInfo
 * @property {string} server_name
 * @property {string} version
 * @property {boolean} [jetstream]
 * @property {number} [max_payload] bytes
 * @property {boolean} [auth_required]
 */

/**
 * Reads a server's INFO without logging in.
 *
 * @param {string} url `nats://host:port`, also without the scheme; of a comma-separated list the first that answers
 * @param {{ timeoutMs?: number }} [options] default 2,000 ms for each server of the list
 * @returns {Promise<ServerInfo>}
 * @throws {Error} when no server of the list answers in time
 */
export async function readServerInfo(url, { timeoutMs = 2_000 } = {}) {
  /** @type {unknown} */
  let lastError;
  for (const one of url.split(',')) {
    try {
      const { hostname, port } = new URL(/^\w+:\/\//.test(one.trim()) ? one.trim() : `nats://${one.trim()}`);
      return await infoFrom(hostname.replace(/^\[|\]$/g, ''), Number(port || 4222), timeoutMs);
    } catch (error) {
      lastError = error;
    }
  }
  throw new Error(`no nats-server answers at ${url.replace(/\/\/[^@/]*@/g, '//')}`, { cause: lastError });
}

/**
 * @param {string} host
 * @param {number} port
 * @param {number} timeoutMs
 * @returns {Promise<ServerInfo>}
 */
export function infoFrom(host, port, timeoutMs) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const timer = setTimeout(() => socket.destroy(new Error(`no answer from ${host}:${port} in ${timeoutMs} ms`)), timeoutMs);
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk) => {
      text += chunk;
      const line = /^INFO (\{.*\}) *\r\n/.exec(text);
      if (line?.[1] !== undefined) {
        resolve(JSON.parse(line[1]));
        socket.destroy();
      } else if (!'INFO '.startsWith(text.slice(0, 5)) || text.length > 65_536) {
        socket.destroy(new Error(`${host}:${port} is no nats-server`));
      }
    });
    socket.on('error', reject);
    socket.on('close', () => {
      clearTimeout(timer);
      reject(new Error(`${host}:${port} closed the connection`));
    });
  });
}

/**
 * @param {string} version such as `2.15.1` or `v2.12.0-RC.1`
 * @param {string} [minimum]
 */
export function isRecent(version, minimum = MINIMUM_VERSION) {
  const [a, b] = [version, minimum].map((v) => (v.match(/\d+/g) ?? []).slice(0, 3).map(Number));
  for (let i = 0; i < 3; i += 1) {
    const difference = (a?.[i] ?? 0) - (b?.[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

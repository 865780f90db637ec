// A nats-server that runs elsewhere (NATS_URL).

import { isRecent, MINIMUM_VERSION, readServerInfo } from '@loopstack/nats-server';

/**
 * @param {string} url as in NATS_URL; may be a list
 * @throws {Error} when it does not answer, is too old, or has no JetStream
 */
export async function externalServer(url) {
  const shown = url.replace(/\/\/[^\s/@]*@/g, '//');
  const info = await readServerInfo(url, { timeoutMs: 5_000 });
  if (!isRecent(info.version)) throw new Error(`${shown} runs nats-server ${info.version}; ${MINIMUM_VERSION} or later is needed`);
  if (info.jetstream !== true) throw new Error(`${shown} has no JetStream: start it with -js, or with a jetstream {} block`);
  return { url, shown, description: `nats-server ${info.version} (NATS_URL)`, exited: undefined, stop: async () => {} };
}

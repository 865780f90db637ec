// JetStream clusters on the loopback address.

import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findNatsServer } from './find.js';
import { removeWithParent } from './guardian.js';
import { pickPort } from './port.js';
import { NatsServer, PortTakenError, startNatsServer } from './server.js';

/**
 * @typedef {object} NatsClusterOptions
 * @property {number} [nodes] default 3
 * @property {string} [binary] path of a nats-server; default: what `findNatsServer()` finds
 * @property {string} [name] cluster name, and `<name>-1` … the nodes' names; default `loopstack-<random>`
 * @property {string} [storeDir] holds one directory for each node, kept after stop(); default: a temporary directory
 * @property {string} [config] configuration text for every node
 * @property {string[]} [args] further command-line arguments for every node
 * @property {number} [startTimeoutMs] deadline until the cluster is ready; default 60,000
 * @property {number} [stopTimeoutMs] time from SIGTERM to SIGKILL of each node; default 10,000
 * @property {AbortSignal} [signal] stops all nodes, or gives up their start
 */

/** @typedef {{ name: string, leader?: string, cluster_size: number, replicas?: { name: string, current: boolean, offline?: boolean }[] }} MetaCluster */

/**
 * Starts a JetStream cluster and resolves when it has a meta leader and every node is current.
 *
 * @param {NatsClusterOptions} [options]
 * @returns {Promise<NatsCluster>}
 */
export async function startNatsCluster(options = {}) {
  const binary = options.binary ?? (await findNatsServer()).path;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await NatsCluster.start({ ...options, binary });
    } catch (error) {
      // Between picking a route port and listening on it another process can take it.
      if (!(error instanceof PortTakenError) || attempt === 5) throw error;
    }
  }
}

export class NatsCluster {
  /** In the order of their start; a node that was killed stays in its place. */
  nodes;
  /** The nodes' client URLs, comma-separated. */
  url;

  #startTimeoutMs;
  #removeHome;

  /**
   * @param {NatsServer[]} nodes
   * @param {number} startTimeoutMs
   * @param {() => Promise<void>} removeHome
   */
  constructor(nodes, startTimeoutMs, removeHome) {
    this.nodes = nodes;
    this.url = nodes.map((node) => node.url).join(',');
    this.#startTimeoutMs = startTimeoutMs;
    this.#removeHome = removeHome;
  }

  /** @param {NatsClusterOptions & { binary: string }} options */
  static async start(options) {
    const { nodes: size = 3, name = `loopstack-${Math.random().toString(36).slice(2, 10)}`, startTimeoutMs = 60_000 } = options;
    const [home, removeHome] = makeHome(options.storeDir);
    const routePorts = await distinctPorts(size);
    const routes = routePorts.map((port) => `nats://127.0.0.1:${port}`);
    const starts = await Promise.allSettled(
      routePorts.map((port, i) =>
        startNatsServer({
          ...options,
          name: `${name}-${i + 1}`,
          storeDir: join(home, `${i + 1}`),
          startTimeoutMs,
          config: [
            `cluster { name: ${name}, listen: "127.0.0.1:${port}", routes: ${JSON.stringify(routes.filter((_, j) => j !== i))} }`,
            options.config ?? '',
          ].join('\n'),
        }),
      ),
    );
    const nodes = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
    const cluster = new NatsCluster(nodes, startTimeoutMs, removeHome);
    try {
      for (const start of starts) if (start.status === 'rejected') throw start.reason;
      await cluster.ready();
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  /**
   * The node of a server name, as leader fields give it.
   *
   * @param {string | undefined} name
   */
  node(name) {
    return this.nodes.find((node) => node.name === name);
  }

  /** The meta leader, as its followers see it; undefined while there is none. */
  async leader() {
    for (const node of this.nodes) {
      const leader = this.node((await metaCluster(node))?.leader);
      if (leader?.pid !== undefined) return leader;
    }
    return undefined;
  }

  /**
   * Resolves when there is a meta leader and all running nodes are healthy and current. To be awaited after a restart.
   *
   * @throws {Error} after the start's deadline
   */
  async ready() {
    const deadline = performance.now() + this.#startTimeoutMs;
    while (!(await this.#isReady())) {
      if (performance.now() > deadline)
        throw new Error(`cluster not ready in time: ${JSON.stringify(await Promise.all(this.nodes.map(metaCluster)))}`);
      await delay(50);
    }
  }

  async #isReady() {
    const running = this.nodes.filter((node) => node.pid !== undefined);
    const leader = await this.leader();
    if (leader === undefined) return false;
    const replicas = (await metaCluster(leader))?.replicas ?? [];
    const current = new Set(replicas.filter((peer) => peer.current && peer.offline !== true).map((peer) => peer.name));
    const isCurrent = running.every((node) => node === leader || current.has(node.name));
    return isCurrent && (await Promise.all(running.map(isHealthy))).every(Boolean);
  }

  /** Ends all nodes for good and removes the temporary directory. May be called more than once. */
  async stop() {
    await Promise.all(this.nodes.map((node) => node.stop()));
    await this.#removeHome();
  }
}

/**
 * @param {string | undefined} storeDir
 * @returns {[string, () => Promise<void>]}
 */
function makeHome(storeDir) {
  if (storeDir !== undefined) return [storeDir, async () => {}];
  const home = mkdtempSync(join(tmpdir(), 'loopstack-nats-'));
  const keep = removeWithParent(home);
  const remove = async () => {
    await rm(home, { recursive: true, force: true, maxRetries: 3 });
    keep();
  };
  return [home, remove];
}

/** @param {number} count */
async function distinctPorts(count) {
  /** @type {Set<number>} */
  const ports = new Set();
  while (ports.size < count) ports.add(await pickPort());
  return [...ports];
}

/**
 * @param {NatsServer} node
 * @returns {Promise<MetaCluster | undefined>}
 */
async function metaCluster(node) {
  try {
    const response = await fetch(`${node.monitorUrl}/jsz`, { signal: AbortSignal.timeout(2_000) });
    return /** @type {{ meta_cluster?: MetaCluster }} */ (await response.json()).meta_cluster;
  } catch {
    return undefined;
  }
}

/** @param {NatsServer} node */
async function isHealthy(node) {
  try {
    const response = await fetch(`${node.monitorUrl}/healthz`, { signal: AbortSignal.timeout(2_000) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

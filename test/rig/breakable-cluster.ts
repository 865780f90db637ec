import { pickPort, startNatsServer, type NatsServer } from '@loopstack/nats-server';
import { Proxy } from './proxy.js';
import { until } from '../until.js';

/**
 * Three JetStream nodes whose routes go through proxies, so that one can be cut off from the others while clients still
 * reach it. Each pair has a proxy for each direction of dialling, and nodes advertise an address at which nobody listens,
 * so that none finds a way past the proxies.
 */
export class BreakableCluster {
  readonly url: string;

  private constructor(
    readonly nodes: readonly NatsServer[],
    /** By `i-j`: what node i dials to reach node j. */
    private readonly proxies: ReadonlyMap<string, Proxy>,
  ) {
    this.url = nodes.map(({ url }) => url).join(',');
  }

  static async start(): Promise<BreakableCluster> {
    const ports: number[] = [];
    while (ports.length < 3) {
      const port = await pickPort();
      if (!ports.includes(port)) ports.push(port);
    }
    const nobody = await pickPort();
    const proxies = new Map<string, Proxy>();
    for (const i of [0, 1, 2])
      for (const j of [0, 1, 2]) if (i !== j) proxies.set(`${i}-${j}`, await Proxy.start(`nats://127.0.0.1:${ports[j]}`));
    const name = `breakable-${process.pid}-${ports[0]}`;
    const nodes = await Promise.all(
      ports.map((port, i) => {
        const routes = [0, 1, 2].filter((j) => j !== i).map((j) => proxies.get(`${i}-${j}`)?.url);
        return startNatsServer({
          name: `${name}-${i + 1}`,
          startTimeoutMs: 60_000,
          config: `cluster { name: ${name}, listen: "127.0.0.1:${port}", advertise: "127.0.0.1:${nobody}", no_advertise: true, routes: ${JSON.stringify(routes)} }`,
        });
      }),
    );
    const cluster = new BreakableCluster(nodes, proxies);
    try {
      await cluster.ready();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  node(name: string | undefined): NatsServer {
    const found = this.nodes.find((node) => node.name === name);
    if (!found) throw new Error(`no node ${name}`);
    return found;
  }

  /** Resolves when all running nodes are healthy: they have a meta leader and are current. */
  async ready(): Promise<void> {
    const healthy = async (node: NatsServer): Promise<boolean> => {
      const response = await fetch(`${node.monitorUrl}/healthz`, { signal: AbortSignal.timeout(2000) });
      await response.body?.cancel();
      return response.ok;
    };
    const running = this.nodes.filter(({ pid }) => pid !== undefined);
    await until('the cluster is healthy', async () => (await Promise.all(running.map(healthy))).every(Boolean), 60_000);
  }

  /** Swallows all that a node and the others say to each other. */
  cutOff(node: NatsServer): void {
    for (const proxy of this.#around(node)) {
      proxy.set('up', 'drop');
      proxy.set('down', 'drop');
    }
  }

  heal(node: NatsServer): void {
    for (const proxy of this.#around(node)) {
      proxy.heal();
      proxy.cut();
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
    await Promise.all([...this.proxies.values()].map((proxy) => proxy.stop()));
  }

  #around(node: NatsServer): Proxy[] {
    const own = this.nodes.indexOf(node);
    return [...this.proxies].filter(([pair]) => pair.split('-').includes(String(own))).map(([, proxy]) => proxy);
  }
}

import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findNatsServer, NatsCluster, pickPort, startNatsServer } from '@loopstack/nats-server';
import { connect } from 'nats';
import { parse } from 'yaml';
import { VARIABLES } from '../src/settings.js';

interface Service {
  readonly image?: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly command?: string[];
  readonly profiles?: string[];
  readonly environment?: Record<string, string | number>;
  readonly volumes?: string[];
  readonly ports?: string[];
  readonly healthcheck?: { readonly test: string[] };
  readonly depends_on?: Record<string, { readonly condition: string }>;
}

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const read = (file: string) => readFileSync(`${ROOT}/${file}`, 'utf8');
const isHere = (file: string) => existsSync(`${ROOT}/${file}`);

const compose = parse(read('docker-compose.yml'), { merge: true }) as {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
};
const services = Object.entries(compose.services);
const servers = services.filter(([, { image }]) => image !== undefined);
const workers = services.filter(([, { build }]) => build !== undefined);

describe('docker-compose.yml', () => {
  it('has one server and one worker, and a cluster profile of three servers with a worker that asks for three replicas', () => {
    const names = (profile?: string) => services.filter(([, { profiles }]) => profiles?.[0] === profile).map(([name]) => name);
    expect(names()).toEqual(['nats', 'worker']);
    expect(names('cluster')).toEqual(['nats-1', 'nats-2', 'nats-3', 'cluster-worker']);
    expect(compose.services['cluster-worker']!.environment).toMatchObject({ LOOPSTACK_REPLICAS: 3 });
    expect(servers.map(([, { environment }]) => environment?.['SERVER_NAME'])).toEqual([undefined, 'nats-1', 'nats-2', 'nats-3']);
  });

  it.each(servers)('%s is a recent nats-server with a health check and a configuration file of ours', (_, service) => {
    const version = /^nats:(\d+)\.(\d+)-alpine$/.exec(service.image!)!;
    expect(Number(version[1]) * 1000 + Number(version[2])).toBeGreaterThanOrEqual(2012);
    expect(service.healthcheck?.test.join(' ')).toContain('http://127.0.0.1:8222/healthz');
    const [flag, file] = service.command!;
    expect(flag).toBe('-c');
    const [source, target] = service.volumes![0]!.split(':') as [string, string];
    expect(isHere(source)).toBe(true);
    expect(isHere(file!.replace(target, source))).toBe(true);
  });

  it.each(servers)('%s keeps its data in a volume', (_, { command, volumes }) => {
    const [volume, directory] = volumes![1]!.split(':') as [string, string];
    expect(Object.keys(compose.volumes)).toContain(volume);
    expect(command!.at(command!.indexOf('-sd') + 1)).toBe(directory);
  });

  it.each(workers)('%s is built here, waits for healthy servers and sets only what the worker reads', (_, service) => {
    expect(isHere(`${service.build!.context}/${service.build!.dockerfile}`)).toBe(true);
    const awaited = Object.entries(service.depends_on!);
    expect(awaited.every(([, { condition }]) => condition === 'service_healthy')).toBe(true);
    const urls = String(service.environment!['NATS_URL']).split(',');
    expect(urls).toEqual(awaited.map(([server]) => `nats://${server}:4222`));
    expect(Object.keys(VARIABLES)).toEqual(expect.arrayContaining(Object.keys(service.environment!)));
  });

  it('opens ports on this machine only, each once', () => {
    const ports = services.flatMap(([, service]) => service.ports ?? []);
    expect(ports.every((port) => port.startsWith('127.0.0.1:'))).toBe(true);
    expect(new Set(ports.map((port) => port.split(':')[1])).size).toBe(ports.length);
  });

  const hasCompose = spawnSync('docker', ['compose', 'version']).status === 0;
  const onlyIf = hasCompose ? it : it.skip;
  onlyIf('is accepted by docker compose', async () => {
    await promisify(execFile)('docker', ['compose', '--profile', 'cluster', 'config', '--quiet'], { cwd: ROOT });
  });
});

describe('the worker image', () => {
  const dockerfile = read('config/docker/Dockerfile');

  it('copies files that are here and are not kept out of the build', () => {
    const ignore = read('config/docker/Dockerfile.dockerignore').split('\n');
    const sources = [...dockerfile.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap((match) => match[1]!.split(' '));
    expect(sources).toEqual(expect.arrayContaining(['package.json', 'libs', 'src']));
    for (const source of sources) {
      expect(isHere(source)).toBe(true);
      expect(ignore).toContain(`!${source}`);
    }
  });

  it('has a second stage without tools, runs as nobody in particular and asks for its own health', () => {
    expect(dockerfile.match(/^FROM /gm)).toHaveLength(2);
    expect(dockerfile).toMatch(/npm prune --omit=dev/);
    expect(dockerfile).toMatch(/^USER node$/m);
    expect(dockerfile).toMatch(/^HEALTHCHECK [\s\S]*\/health\/ready/m);
  });
});

describe('config/nats', () => {
  const files = readdirSync(`${ROOT}/config/nats`).filter((file) => file.endsWith('.conf'));

  it.each(files)('%s is a valid nats-server configuration', async (file) => {
    const { path } = await findNatsServer();
    const env = { ...process.env, SERVER_NAME: 'nats-1', WORKER_PASSWORD: 'secret' };
    const { stderr, stdout } = await promisify(execFile)(path, ['-t', '-c', `${ROOT}/config/nats/${file}`], { env });
    expect(stdout + stderr).toContain('is valid');
  });

  it.each(['durable.conf', 'cluster.conf'])('%s writes through before it acknowledges', async (file) => {
    const args = file === 'cluster.conf' ? ['--routes', 'nats://127.0.0.1:1', '--cluster_listen', 'nats://127.0.0.1:-1'] : [];
    const server = await startNatsServer({ configFile: `${ROOT}/config/nats/${file}`, args, env: { SERVER_NAME: 'nats-1' } });
    try {
      const { config } = (await (await fetch(`${server.monitorUrl}/jsz?config=1`)).json()) as { config: { sync_always?: boolean } };
      expect(config.sync_always).toBe(true);
    } finally {
      await server.stop();
    }
  });

  it('makes a cluster of three in which a stream has three replicas', async () => {
    const ports = [await pickPort(), await pickPort(), await pickPort()];
    const routes = ports.map((port) => `nats://127.0.0.1:${port}`).join(',');
    const nodes = await Promise.all(
      ports.map((port, i) =>
        startNatsServer({
          configFile: `${ROOT}/config/nats/cluster.conf`,
          args: ['--routes', routes, '--cluster_listen', `nats://127.0.0.1:${port}`],
          name: `nats-${i + 1}`,
          env: { SERVER_NAME: `nats-${i + 1}` },
        }),
      ),
    );
    const cluster = new NatsCluster(nodes, 30_000, async () => {});
    try {
      await cluster.ready();
      const nc = await connect({ servers: cluster.url });
      const { cluster: state } = await (await nc.jetstreamManager()).streams.add({ name: 'THREE', subjects: ['three'], num_replicas: 3 });
      expect(state?.name).toBe('loopstack');
      expect(state?.replicas).toHaveLength(2);
      await nc.close();
    } finally {
      await cluster.stop();
    }
  });
});

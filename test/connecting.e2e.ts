import { LoopstackClient } from '@loopstack/client';
import { LoopstackModule, OnRun, RunService, Workflow, Workspace } from '@loopstack/core';
import { NatsModule, type NatsOptions } from '@loopstack/nats';
import { startNatsServer, type NatsServer } from '@loopstack/nats-server';
import { Injectable, Module, type INestMicroservice, type LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { once } from 'node:events';
import { createServer as createWebServer } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { CliRig } from './cli/rig.js';
import { CLIENTS } from './client-libraries/clients.js';
import { startApp } from './rig/app.js';
import { Proxy } from './rig/proxy.js';
import { until } from './until.js';

@Workflow()
class Greet {
  run({ name }: { name: string }): string {
    return `hello ${name}`;
  }
}

@Workspace({ workflows: [Greet] })
class Hall {}

const quiet = (): void => undefined;
const TAKEN = { host: '127.0.0.1', port: 0 };

/** What is said as warnings. */
function warnings(): { readonly lines: string[]; readonly logger: LoggerService } {
  const lines: string[] = [];
  return { lines, logger: { log: quiet, error: quiet, warn: (line: string) => void lines.push(line) } };
}

const start = (nats: NatsOptions, logger?: LoggerService): Promise<INestMicroservice> => startApp([Greet, Hall], nats, {}, logger);

async function listening(server: Server): Promise<string> {
  server.listen(TAKEN);
  await once(server, 'listening');
  return `nats://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** As `url`, with somebody before the host. */
const as = (who: string, url: string): string => url.replace('//', `//${who}@`);

describe('a server that demands a user', () => {
  const SECRET = 'p@ss:/word';
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNatsServer({ config: `authorization { user: ada, password: "${SECRET}" }` });
  });
  afterAll(() => server?.stop());

  it('takes the credentials of its address, from a worker and a producer', async () => {
    const servers = as(`ada:${encodeURIComponent(SECRET)}`, server.url);
    const app = await start({ servers });
    const client = await LoopstackClient.connect({ servers });
    expect(await app.get(RunService).runAndWait(Greet, Hall, { name: 'Ada' }, 'u1')).toBe('hello Ada');
    expect(await client.runAndWait('Greet', 'Hall', { name: 'Bob' }, 'u1')).toBe('hello Bob');
    await client.close();
    await app.close();
  });

  it('takes the user of the options before that of the address', async () => {
    const servers = as('bob:wrong', server.url);
    const client = await LoopstackClient.connect({ servers, user: 'ada', pass: SECRET });
    const app = await start({ servers, connect: { user: 'ada', pass: SECRET } });
    await app.close();
    await client.close();
  });

  it.each([
    ['a worker', (servers: string) => start({ servers })],
    ['a producer', (servers: string) => LoopstackClient.connect({ servers })],
    ['a producer that waits for a server', (servers: string) => LoopstackClient.connect({ servers, waitOnFirstConnect: true })],
  ])('refuses %s with other credentials, which the error does not tell', async (_, connecting) => {
    const error = await connecting(as('ada:wrong', server.url)).then(
      () => undefined,
      (refused: Error) => refused,
    );
    expect(error).toMatchObject({ code: 'CONNECTION_DENIED', message: expect.stringContaining('Authorization Violation') });
    expect(error?.message).not.toContain('wrong');
  });
});

it('takes a token of its address', async () => {
  const server = await startNatsServer({ config: 'authorization { token: s3cret }' });
  const client = await LoopstackClient.connect({ servers: as('s3cret', server.url) });
  await client.close();
  await server.stop();
});

describe('a worker that finds no server', () => {
  /** The reason for which a worker waits at an address; then a server comes there. */
  async function reasonAt(url: string, free: () => Promise<unknown>): Promise<string> {
    const { lines, logger } = warnings();
    const starting = start({ servers: url, connect: { timeout: 500 } }, logger);
    const line = await until('it says why it waits', () => lines.find((one) => one.startsWith('Waiting for a NATS server')));
    await free();
    const server = await startNatsServer({ port: Number(new URL(url).port) });
    const app = await starting;
    expect(await app.get(RunService).runAndWait(Greet, Hall, { name: 'Ada' }, 'u1')).toBe('hello Ada');
    await app.close();
    await server.stop();
    return line;
  }

  const closed = (other: Server) => (): Promise<unknown> => new Promise((resolve) => other.close(resolve));

  it('says that the connection was refused, and starts when there is one', async () => {
    const gone = createServer();
    const url = await listening(gone);
    await closed(gone)();
    const { port } = new URL(url);
    expect(await reasonAt(url, async () => {})).toBe(`Waiting for a NATS server at ${url}: connect ECONNREFUSED 127.0.0.1:${port}`);
  });

  it('says that something else listens there', async () => {
    const web = createWebServer();
    const url = await listening(web);
    const free = async (): Promise<void> => {
      web.closeAllConnections();
      await closed(web)();
    };
    expect(await reasonAt(url, free)).toBe(`Waiting for a NATS server at ${url}: nothing there spoke as a NATS server within 500 ms`);
  });

  it('says that what listens there ends the connection', async () => {
    const rude = createServer((socket) => socket.destroy());
    const url = await listening(rude);
    expect(await reasonAt(url, closed(rude))).toContain('the connection was closed before a server said anything');
  });

  it('refuses an address that is none of a NATS server', () => {
    expect(() => NatsModule.forRoot({ servers: 'http://127.0.0.1:8080' })).toThrow(
      expect.objectContaining({ code: 'SERVERS_INVALID', message: expect.stringContaining('no nats:// or tls:// URL') }),
    );
  });
});

describe('a server that is too old', () => {
  const OLD = { code: 'SERVER_TOO_OLD', message: 'Loopstack needs nats-server 2.12; this one is 2.9.10' };
  const cli = CliRig.use('all');
  let old: Proxy;
  beforeAll(async () => {
    // Only what it says of itself is another version's; the server says it again once the client is connected.
    const through = Proxy.start(cli.url, (chunk) => {
      const text = chunk.toString('latin1');
      return text.includes('INFO {')
        ? Buffer.from(
            text.replaceAll(/(INFO \{[^\r]*?"version":")[^"]*/g, (_, head: string) => `${head}2.9.10`),
            'latin1',
          )
        : chunk;
    });
    old = await cli.track('servers', through, (proxy) => proxy.stop());
  });

  it('is refused by a worker and a producer, and their connections are closed', async () => {
    await expect(start({ servers: old.url })).rejects.toMatchObject(OLD);
    await expect(LoopstackClient.connect({ servers: old.url })).rejects.toMatchObject(OLD);
    await until('no connection is left', () => old.connections === 0);
  });

  it.each(CLIENTS)('is refused over a connection of %s that was given, which stays open', async (_, connect) => {
    const nc = cli.closeAtEnd(await connect(old.url), 'connections');
    await expect(start({ connection: nc })).rejects.toMatchObject(OLD);
    expect(() => new LoopstackClient(nc)).toThrow(expect.objectContaining(OLD));
    expect(nc.isClosed()).toBe(false);
  });

  it('is refused by the command line, but doctor tells of it', async () => {
    const refused = await cli.loopstack('runs', 'list', '--server', old.url);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining(OLD.message) });
    const told = await cli.loopstack('doctor', '--server', old.url);
    expect(told.stdout).toContain('Upgrade the server to 2.12 or later');
    expect(told.stdout).not.toContain('jetstream');
  });
});

describe('a server without JetStream', () => {
  const WHY = 'this server does not run JetStream';
  const cli = CliRig.use('all', { jetstream: false });

  it('is told by a worker, a producer and the command line in the same words', async () => {
    const proxy = await Proxy.start(cli.server.url);
    await expect(start({ servers: proxy.url })).rejects.toMatchObject({ code: 'JETSTREAM_MISSING', message: expect.stringContaining(WHY) });
    await until('its connection is closed', () => proxy.connections === 0);
    await proxy.stop();

    const client = await LoopstackClient.connect({ servers: cli.server.url });
    const address = { workspace: 'Hall', workflow: 'Greet' };
    await expect(client.run('Greet', 'Hall', {}, 'u1')).rejects.toThrow(WHY);
    await expect(client.get({ ...address, id: 'a' })).rejects.toThrow(WHY);
    await expect(client.list(address)).rejects.toThrow(WHY);
    await client.close();

    for (const args of [['runs', 'list'], ['dead', 'list'], ['streams'], ['doctor']]) {
      const { stdout, stderr } = await cli.loopstack(...args);
      expect(stdout + stderr).toContain(WHY);
      expect(stdout + stderr).toMatch(/-js|Check that the server runs JetStream/);
    }
  });
});

describe('an application that does not start', () => {
  it('closes the connection that it has opened', async () => {
    const server = await startNatsServer();
    const proxy = await Proxy.start(server.url);
    @Injectable()
    class Listener {
      @OnRun('Greet', 'succeeded')
      heard(): void {}
    }
    @Module({
      imports: [LoopstackModule.forRoot({ service: 'listener' }), NatsModule.forRoot({ servers: proxy.url, provision: false })],
      providers: [Greet, Hall, Listener],
    })
    class App {}
    const context = (): Promise<unknown> => NestFactory.createApplicationContext(App, { logger: false, abortOnError: false });
    // Without streams, and with streams but without the consumer of the listener, which a later step of the boot needs.
    await expect(context()).rejects.toMatchObject({ code: 'TOPOLOGY_MISSING' });
    await until('no connection is left', () => proxy.connections === 0);
    await (await start({ servers: server.url })).close();
    await expect(context()).rejects.toMatchObject({ code: 'BOOT_FAILED' });
    await until('no connection is left again', () => proxy.connections === 0);
    await proxy.stop();
    await server.stop();
  });
});

import { LoopstackClient } from '@loopstack/client';
import { Publisher, requestWithRetry } from '@loopstack/jetstream';
import { HEADER, type RunHandle } from '@loopstack/shared/contract';
import { type Msg, type NatsConnection } from 'nats';
import { Proxy } from '../rig/proxy.js';
import { until } from '../until.js';
import { ADDRESS, Rig, codeOf, errorOf, names } from './rig.js';

describe('publishing while the server dies and comes back', () => {
  const rig = Rig.use('each');
  let nc: NatsConnection;
  beforeEach(async () => {
    nc = await rig.connect();
  });

  const isDown = (): Promise<boolean> => until('the connection is down', () => nc.info === undefined);

  it('loses no run that was acknowledged, and stores none twice', async () => {
    const client = new LoopstackClient(nc, { publishTimeout: '30s', maxInFlight: 256 });
    const runs: Promise<RunHandle>[] = [];
    let stop = false;
    const publishing = (async () => {
      while (!stop) {
        const started = Array.from({ length: 200 }, () => client.run('ProcessOrder', 'Orders', {}, 'u1'));
        runs.push(...started);
        await Promise.all(started);
      }
    })();
    await until('runs are stored', async () => (await rig.count(names.streams.runs)) > 1000);
    await rig.crash();
    const before = runs.length;
    await until('publishing goes on', () => runs.length > before + 1000, 30_000);
    stop = true;
    await publishing;
    const handles = await Promise.all(runs);
    const ids = await storedIds();
    expect(ids.length).toBe(new Set(ids).size);
    expect(new Set(ids)).toEqual(new Set(handles.map((run) => run.id)));
    expect(new Set(handles.map((run) => run.sequence)).size).toBe(handles.length);
  });

  it('waits for the connection where the option says so', async () => {
    const client = new LoopstackClient(nc, { publishTimeout: '30s' });
    let run: Promise<RunHandle> | undefined;
    await rig.crash(async () => {
      await isDown();
      run = client.run('ProcessOrder', 'Orders', {}, 'u1');
    });
    expect(await run).toMatchObject({ duplicate: false });
    expect(await rig.count(names.streams.runs)).toBe(1);
  });

  it('gives up waiting after the timeout, and stores nothing later', async () => {
    const client = new LoopstackClient(nc);
    await rig.crash(async () => {
      await isDown();
      const error = await errorOf(client.run('ProcessOrder', 'Orders', {}, 'u1', { publishTimeout: 200 }));
      expect(error).toMatchObject({ code: 'PUBLISH_UNAVAILABLE', message: expect.stringContaining('connection is down') as string });
    });
    await until('the connection is up', () => nc.flush().then(() => true));
    await client.run('ProcessOrder', 'Orders', {}, 'u1');
    expect(await rig.count(names.streams.runs)).toBe(1);
  });

  it('fails at once where the option says so', async () => {
    const client = new LoopstackClient(nc, { whileDisconnected: 'fail' });
    await rig.crash(async () => {
      await isDown();
      const began = Date.now();
      expect(await codeOf(client.run('ProcessOrder', 'Orders', {}, 'u1'))).toBe('PUBLISH_UNAVAILABLE');
      expect(Date.now() - began).toBeLessThan(100);
    });
    await until('a run is published', () => client.run('ProcessOrder', 'Orders', {}, 'u1'), 10_000);
  });

  it('writes a message without an id once: it was stored or it was not', async () => {
    // Answers that nobody gives: the first subscriber dies with the connection.
    const heard: string[] = [];
    const listener = await rig.connect({ reconnectTimeWait: 20 });
    listener.subscribe('quiet.*', {
      callback: (_, msg) => void heard.push(`${msg.subject} ${msg.headers?.get(HEADER.MSG_ID) ?? ''}`.trim()),
    });
    await listener.flush();
    const publisher = new Publisher(nc, { timeoutMs: 4000 });
    const outcomes = Promise.all([
      codeOf(publisher.publish('quiet.plain', new Uint8Array(1))),
      codeOf(publisher.publish('quiet.named', new Uint8Array(1), { [HEADER.MSG_ID]: 'm1' })),
    ]);
    await until('both messages are heard', () => heard.length === 2);
    await rig.crash();
    expect(await outcomes).toEqual(['PUBLISH_TIMEOUT', 'PUBLISH_TIMEOUT']);
    expect(heard.filter((line) => line === 'quiet.plain').length).toBe(1);
  });

  async function storedIds(): Promise<string[]> {
    const jsm = await rig.nc.jetstreamManager();
    const { state } = await jsm.streams.info(names.streams.runs);
    const consumer = await rig.nc.jetstream().consumers.get(names.streams.runs);
    const ids: string[] = [];
    const messages = await consumer.fetch({ max_messages: state.messages, expires: 30_000 });
    for await (const message of messages) ids.push(message.headers?.get(HEADER.RUN_ID) as string);
    expect(ids.length).toBe(state.messages);
    return ids;
  }
});

describe('reading while the connection is lost', () => {
  const rig = Rig.use('each');
  let proxy: Proxy;
  beforeEach(async () => {
    proxy = await rig.startProxy();
  });

  it.each([
    ['one run', (client: LoopstackClient, id: string) => client.get(id)],
    ['a list of runs', (client: LoopstackClient) => client.list(ADDRESS).then(([run]) => run)],
  ])('%s is asked for again over the next connection, whatever the timeout', async (_, ask) => {
    const nc = await rig.connect({ servers: proxy.url, reconnectTimeWait: 20 });
    const client = new LoopstackClient(nc, { requestTimeout: '5m' });
    const { id } = await client.run('ProcessOrder', 'Orders', {}, 'u1');
    await rig.record(id, { type: 'started' });
    proxy.set('up', 'drop');
    const answer = ask(client, id);
    await until('the proxy has swallowed a request', () => proxy.swallowed('up') > 0);
    proxy.heal();
    proxy.cut();
    expect(await answer).toMatchObject({ id, status: 'running' });
    await client.close();
  });

  it('takes the first answer, also one that comes when it has asked again', async () => {
    const questions: Msg[] = [];
    rig.nc.subscribe('slow', {
      callback: (_, msg) => {
        questions.push(msg);
        if (questions.length === 2) questions[0]?.respond('late');
      },
    });
    await rig.nc.flush();
    const nc = await rig.connect({ servers: proxy.url });
    const ask = (timeout: number): Promise<Msg> => nc.request('slow', undefined, { timeout });
    expect((await requestWithRetry(nc, 60_000, ask)).string()).toBe('late');
  });

  it('ends where nobody answers, also when one connection follows the other', async () => {
    const nc = await rig.connect({ servers: proxy.url, reconnectTimeWait: 20 });
    rig.nc.subscribe('silent', { callback: () => undefined });
    await rig.nc.flush();
    const cutting = setInterval(() => proxy.cut(), 300);
    try {
      const ask = (timeout: number): Promise<Msg> => nc.request('silent', undefined, { timeout });
      await expect(requestWithRetry(nc, 500, ask)).rejects.toMatchObject({ code: 'TIMEOUT' });
    } finally {
      clearInterval(cutting);
    }
  });
});

import type { LoopstackClient } from '@loopstack/client';
import { HEADER, type LoopstackError } from '@loopstack/shared';
import { headers } from 'nats';
import { messageIdsForgotten } from '../rig/measure.js';
import { JOB, Proxy, Rig, STREAMS, expectNothingFor, held, scaled, until } from '../rig/rig.js';
import type { WorkerProcess } from '../rig/worker-process.js';

/** Users without and with the right to acknowledge messages. */
const ACCOUNTS = `
authorization {
  users: [
    { user: admin, password: admin }
    { user: mute, password: mute, permissions: { publish: { deny: ["$JS.ACK.>"] } } }
  ]
}`;

describe('lost acknowledgements', () => {
  let rig: Rig;
  let proxy: Proxy;
  afterEach(() => rig?.end());

  it('a publish retried with its key leaves one run', async () => {
    rig = await Rig.start();
    await rig.worker();
    proxy = await rig.startProxy();
    const client = await rig.producer({ servers: proxy.url, publishTimeout: '500ms' });
    const count = scaled(1000, 100);
    const publish = (): Promise<PromiseSettledResult<Awaited<ReturnType<LoopstackClient['run']>>>[]> =>
      Promise.allSettled(Array.from({ length: count }, (_, i) => client.run('Job', 'Rig', {}, 'u1', { idempotencyKey: `k${i}` })));
    proxy.set('down', 'drop');
    const lost = await publish();
    expect(lost.map((result) => (result.status === 'rejected' ? (result.reason as LoopstackError).code : 'stored'))).toEqual(
      Array(count).fill('PUBLISH_TIMEOUT'),
    );
    proxy.heal();
    proxy.cut();
    const retried = await publish();
    for (const result of retried) {
      if (result.status === 'rejected') throw result.reason as Error;
      expect(result.value.duplicate).toBe(true);
      rig.acked.push(result.value.id);
    }
    await rig.settled();
    const balance = await rig.balance();
    expect(balance).toMatchObject({ acked: count, executed: count, dead: 0, lost: [], duplicates: 0, twiceEnded: [] });
    held('acknowledgements of publishes lost, caller retries', balance);
  });

  it('a publish across a reconnect leaves one run', async () => {
    rig = await Rig.start();
    await rig.worker();
    proxy = await rig.startProxy();
    const client = await rig.producer({ servers: proxy.url, publishTimeout: '20s' });
    const count = scaled(1000, 100);
    proxy.set('down', 'drop');
    const published = Promise.all(Array.from({ length: count }, () => client.run('Job', 'Rig', {}, 'u1')));
    // A producer has no more in flight while it does not know the server; the others follow when it answers.
    const written = Math.min(count, 256);
    await until('the server has stored them', async () => (await rig.jsm.streams.info('LOOPSTACK_RUNS')).state.messages === written);
    proxy.heal();
    proxy.cut();
    for (const { id } of await published) rig.acked.push(id);
    await rig.settled();
    const balance = await rig.balance();
    expect(balance).toMatchObject({ acked: count, executed: count, dead: 0, lost: [], duplicates: 0, twiceEnded: [] });
    held('acknowledgements of publishes lost with the connection', balance);
  });

  it('an unacknowledged outcome is recorded once', async () => {
    rig = await Rig.start({ nats: { publishTimeout: '1s' } });
    proxy = await rig.startProxy();
    const gate = rig.gate();
    await rig.worker({ servers: proxy.url });
    const runs = await rig.runs(16, { job: { do: 'hold', gate: gate.path } });
    for (const { id } of runs) await rig.journal.started(id);
    proxy.set('down', 'drop');
    await gate.open();
    await until('the server has recorded the outcomes', async () => (await rig.events()).size === runs.length);
    proxy.heal();
    proxy.cut();
    await rig.settled();
    const balance = await rig.balance();
    expect(balance).toMatchObject({ executed: 16, dead: 0, lost: [], duplicates: 0, twiceEnded: [] });
    held('acknowledgements of outcomes lost', balance);
  });

  it('an outcome is confirmed over the next connection', async () => {
    rig = await Rig.start({ nats: { publishTimeout: '5m' } });
    proxy = await rig.startProxy();
    const gate = rig.gate();
    const job = { do: 'hold', gate: gate.path } as const;
    const worker = await rig.worker({ servers: proxy.url }, [{ ...JOB, options: { ...JOB.options, lease: '5m', timeout: '10m' } }]);
    const runs = await rig.runs(16, { job });
    for (const { id } of runs) await rig.journal.started(id);
    proxy.set('down', 'drop');
    await gate.open();
    await until('the server has recorded the outcomes', async () => (await rig.events()).size === runs.length);
    proxy.heal();
    proxy.cut();
    await rig.settled();
    const balance = await rig.balance();
    expect(balance).toMatchObject({ executed: 16, dead: 0, lost: [], duplicates: 0, twiceEnded: [] });
    expect(worker.log()).not.toMatch(/could not be recorded|is refused/);
    held('acknowledgements of outcomes lost with the connection', balance);
  });

  it('a start without acknowledgement does not mark a suspect', async () => {
    rig = await Rig.start({ nats: { publishTimeout: '500ms' } });
    proxy = await rig.startProxy();
    const once = { ...JOB, options: { ...JOB.options, lease: '30s', retry: { attempts: 1 } } } as const;
    await rig.worker({ servers: proxy.url, connect: { reconnectTimeWait: 50 } }, [once]);
    proxy.set('up', 'pause');
    await rig.runs(8);
    const delivered = await until('they are delivered', async () => (await rig.consumer()).num_ack_pending || undefined);
    proxy.set('down', 'drop');
    proxy.set('up', 'pass');
    await until('their starts are stored', async () => (await rig.events()).size >= delivered);
    proxy.isolate();
    await expectNothingFor(1500, 'a dead letter', async () => (await rig.deadLetters())[0]);
    proxy.heal();
    await rig.settled();
    const balance = await rig.balance();
    expect(balance).toMatchObject({ executed: 8, dead: 0, lost: [], duplicates: 0, twiceEnded: [] });
    held('acknowledgements of starts lost, for three timeouts', balance);
  });

  it('lost message acknowledgements leave one outcome and effect', async () => {
    rig = await Rig.start({ server: { config: ACCOUNTS } });
    const mute = await rig.worker({ connect: { user: 'mute', pass: 'mute' } });
    await rig.runs(scaled(1000, 100));
    await until('all are recorded', async () => (await rig.events()).size === rig.acked.length);
    await until('all have been delivered again', async () => (await rig.consumer()).num_redelivered >= rig.acked.length);
    expect((await rig.consumer()).num_ack_pending).toBe(rig.acked.length);
    await mute.kill();
    await rig.worker({ connect: { user: 'admin', pass: 'admin' } });
    await rig.settled();
    const balance = await rig.balance();
    expect(balance).toMatchObject({ executed: rig.acked.length, dead: 0, lost: [], duplicates: 0, twiceEnded: [] });
    held('acknowledgements of messages lost', balance);
  });
});

describe('progress without acknowledgement', () => {
  const rig = Rig.use('each', { nats: { publishTimeout: '500ms', shutdownGrace: '500ms' } });
  let proxy: Proxy;
  const full = { ...JOB, options: { ...JOB.options, lease: '5m', timeout: '10m', record: 'full', retry: { attempts: 1 } } } as const;
  let worker: WorkerProcess;
  let gate: ReturnType<Rig['gate']>;

  beforeEach(async () => {
    proxy = await rig.startProxy();
    worker = await rig.worker({ servers: proxy.url }, [full]);
    const first = rig.gate();
    gate = rig.gate();
    const { id } = await rig.run({ job: { do: 'progress-then-hold', gate: gate.path, first: first.path } });
    await rig.journal.started(id);
    proxy.set('down', 'drop');
    await first.open();
    await until('its progress is given up', () => worker.log().includes('progress was not recorded'));
    expect((await rig.eventsOf(id)).at(-1)?.type).toBe('progress');
    proxy.heal();
    proxy.cut();
  });

  async function expectOnce(name: string): Promise<void> {
    await rig.settled();
    const balance = await rig.balance();
    expect(balance).toMatchObject({ executed: 1, dead: 0, lost: [], duplicates: 0, twiceEnded: [] });
    held(name, balance);
  }

  it('unacknowledged progress does not cost the run', async () => {
    await gate.open();
    await expectOnce('acknowledgement of progress lost');
  });

  it('unacknowledged progress does not block a shutdown', async () => {
    await until('the worker is back', async () => (await worker.ready()).up);
    await worker.kill('SIGTERM');
    await gate.open();
    await rig.worker({}, [full]);
    await expectOnce('acknowledgement of progress lost, and a shutdown');
  });
});

describe('questions lost with the connection', () => {
  let rig: Rig;
  let proxy: Proxy;
  afterEach(() => rig?.end());

  it('a history is read again over the next connection', async () => {
    rig = await Rig.start();
    proxy = await rig.startProxy();
    const retry = { attempts: 3, delay: '2s' } as const;
    const worker = await rig.worker({ servers: proxy.url }, [{ ...JOB, options: { ...JOB.options, lease: '5m', timeout: '10m', retry } }]);
    const { id } = await rig.run({ job: { do: 'fail-first' } });
    await until('the next attempt is announced', async () => (await rig.eventsOf(id)).at(-1)?.type === 'retrying');
    proxy.set('up', 'drop');
    await until('the command has come again', async () => (await rig.consumer()).delivered.consumer_seq === 2);
    proxy.heal();
    proxy.cut();
    await rig.journal.started(id, 2);
    await rig.settled();
    expect(worker.log()).not.toContain('could not be examined');
    const balance = await rig.balance();
    expect(balance).toMatchObject({ executed: 1, dead: 0, lost: [], duplicates: 0, twiceEnded: [] });
    held('question of a worker lost with the connection', balance);
  });
});

describe('idempotency keys', () => {
  let rig: Rig;
  afterEach(() => rig?.end());

  it('a key outlives the deduplication window', async () => {
    rig = await Rig.start({ nats: { runs: { deduplication: '500ms' } } });
    await rig.worker();
    const options = { idempotencyKey: 'order-1' };
    const first = await rig.run({ job: { do: 'big', bytes: 10 } }, options);
    expect(first.duplicate).toBe(false);
    expect(await first.result()).toBe('x'.repeat(10));
    await messageIdsForgotten(rig.nc);
    const { state } = await rig.jsm.streams.info(STREAMS.runs);
    const second = await rig.run({ job: { do: 'big', bytes: 10 } }, options);
    expect(second.id).toBe(first.id);
    expect(second.duplicate).toBe(true);
    expect(await second.result()).toBe('x'.repeat(10));
    // A producer that does not look at the run before it publishes: the window has passed, so the server takes it for new.
    const set = headers();
    set.set(HEADER.RUN_ID, first.id);
    const body = JSON.stringify({ userId: 'u1', payload: { do: 'big', bytes: 10 } });
    const third = await rig.nc.jetstream().publish('loopstack.run.Rig.Job', body, { msgID: `Rig.Job:${first.id}`, headers: set });
    expect(third).toMatchObject({ duplicate: false, seq: state.last_seq + 1 });
    await rig.settled();
    const balance = await rig.balance();
    expect(balance).toMatchObject({ acked: 1, executed: 1, dead: 0, lost: [], duplicates: 0, twiceEnded: [] });
    held('same key after the deduplication window', balance);
  });

  it('concurrent callers of one key share a run', async () => {
    rig = await Rig.start({ nats: { runs: { deduplication: '100ms' } } });
    await rig.worker();
    await rig.worker();
    const count = scaled(500, 50);
    for (let i = 0; i < count; i++) await Promise.all([1, 2, 3].map(() => rig.run({}, { idempotencyKey: `k${i}` })));
    await rig.settled();
    const balance = await rig.balance();
    expect(balance).toMatchObject({ acked: count, executed: count, dead: 0, lost: [], duplicates: 0, twiceEnded: [] });
    held('same key at the same time', balance);
  });
});

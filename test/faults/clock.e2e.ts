import type { FakeClock } from '../rig/fake-clock.js';
import { nkeys } from 'nats';
import { JOB, Rig, STREAMS, WORKSPACE, held, until } from '../rig/rig.js';

const HOUR_MS = 3_600_000;
const STEPS: readonly [string, string][] = [
  ['forward', '+1h'],
  ['back', '-1h'],
];
const OFFSETS: readonly [string, string][] = [
  ['ahead', '+1h'],
  ['behind', '-1h'],
];
/** Commands and what they wait for are moments apart, clocks an hour. */
const SOON_MS = 20_000;

let rig: Rig;
afterEach(() => rig?.end());

/** Streams as a worker makes them, and nobody who consumes. */
const provisioned = async (nats?: Parameters<Rig['worker']>[0]): Promise<void> => (await rig.worker(nats)).end();

/** When the last command of the usual workflow was stored, by the server's clock. */
async function storedMs(subject = 'loopstack.run.Rig.Job'): Promise<number> {
  return (await rig.jsm.streams.getMessage(STREAMS.runs, { last_by_subj: subject })).time.getTime();
}

describe.each(STEPS)('a clock that is set %s by an hour', (_, step) => {
  const LIMITED = { ...JOB, name: 'Limited', options: { ...JOB.options, timeout: '2s', retry: { attempts: 1 } } } as const;
  const RETRIED = { ...JOB, name: 'Retried', options: { ...JOB.options, retry: { attempts: 2, delay: '500ms', jitter: 0 } } } as const;
  let clocks: readonly FakeClock[];

  async function start(workers: number): Promise<void> {
    rig = await Rig.start({ workflows: [JOB, LIMITED, RETRIED] });
    clocks = await Promise.all(Array.from({ length: workers }, () => rig.clock()));
    await Promise.all(clocks.map((clock) => rig.worker({}, undefined, clock.wrapper)));
  }

  const set = (offset: string): Promise<unknown> => Promise.all(clocks.map((clock) => clock.set(offset)));

  it('a clock step costs workers no lease', async () => {
    await start(2);
    await rig.runs(8, { job: { do: 'slow', ms: 4000 } });
    const blocking = await rig.run({ job: { do: 'block', ms: 3000 } });
    for (const id of rig.acked) await rig.journal.started(id);
    await set(step);
    expect((await rig.journal.started(blocking.id)).attempt).toBe(1);
    await rig.runs(50);
    await rig.settled();
    expect(rig.journal.entries.filter(({ kind }) => kind === 'aborted')).toEqual([]);
    expect(rig.journal.entries.filter(({ kind }) => kind === 'start')).toHaveLength(rig.acked.length);
    const balance = await rig.balance();
    expect(balance).toMatchObject({ executed: 59, dead: 0, lost: [], duplicates: 0, twiceEnded: [] });
    held(`clock set by ${step}`, balance);
  });

  it('a clock step moves no timeout or retry', async () => {
    await start(1);
    const never = await rig.run({ workflow: 'Limited', job: { do: 'never' } });
    const slow = await rig.run({ workflow: 'Limited', job: { do: 'slow', ms: 1500 } });
    await rig.journal.started(never.id);
    await rig.journal.started(slow.id);
    const startedAt = performance.now();
    await set(step);
    const retried = await rig.run({ workflow: 'Retried', job: { do: 'fail-first' } });
    await slow.result();
    await expect(never.result()).rejects.toMatchObject({ code: 'RUN_FAILED' });
    expect((await rig.eventsOf(never.id)).at(-1)).toMatchObject({ type: 'failed', error: { code: 'HANDLER_TIMEOUT' } });
    expect(performance.now() - startedAt).toBeGreaterThan(1500);
    expect(performance.now() - startedAt).toBeLessThan(SOON_MS);
    await retried.result();
    const retrying = (await rig.eventsOf(retried.id)).find(({ type }) => type === 'retrying');
    expect(Date.parse(retrying?.nextAttemptAt ?? '') - Date.parse(retrying?.at ?? '')).toBeLessThan(2000);
    expect(Math.abs(Date.now() - Date.parse(retrying?.at ?? ''))).toBeLessThan(SOON_MS);
  });

  it('a clock step does not prevent a reconnect', async () => {
    await start(1);
    const worker = await rig.worker({}, undefined, clocks[0]?.wrapper);
    await set(step);
    expect(await worker.ready()).toMatchObject({ up: true, problems: [] });
    await rig.server.restart();
    await until('the worker is connected', async () => (await worker.ready()).up, SOON_MS);
    await rig.runs(4, { job: { do: 'block', ms: 1500 } });
    await rig.settled();
    expect(await rig.balance()).toMatchObject({ executed: 4, duplicates: 0 });
  });
});

describe.each(OFFSETS)('a worker whose clock is an hour %s', (side, offset) => {
  beforeEach(async () => {
    rig = await Rig.start();
  });

  it('a worker with a wrong clock expires only overdue runs', async () => {
    await provisioned();
    const late = await rig.run({}, { expiresIn: '1s' });
    const storedAt = await storedMs();
    await until('it has expired', () => Date.now() > storedAt + 1100);
    await rig.worker({}, undefined, (await rig.clock(offset)).wrapper);
    const inTime = await rig.run({}, { expiresIn: '30s' });
    await inTime.result();
    await expect(late.result()).rejects.toMatchObject({ code: 'RUN_EXPIRED' });
    expect(rig.journal.of(late.id)).toEqual([]);
  });

  it('a worker with a wrong clock records right times', async () => {
    const worker = await rig.worker(
      {},
      [{ ...JOB, options: { ...JOB.options, concurrency: 1, record: 'full' } }],
      (await rig.clock(offset)).wrapper,
    );
    const gate = rig.gate();
    const first = await rig.run({ job: { do: 'hold', gate: gate.path } });
    const waiting = await rig.run();
    await rig.journal.started(first.id);
    const oldest = await until('a run waits', async () => {
      const { loopstack } = await worker.ask<{ loopstack: { busy: { queued: number; oldestQueuedMs?: number }[] } }>('ready');
      return loopstack.busy.find(({ queued }) => queued > 0)?.oldestQueuedMs;
    });
    expect(oldest).toBeLessThan(SOON_MS);
    await gate.open();
    await waiting.result();
    for (const { at } of await rig.eventsOf(first.id)) expect(Math.abs(Date.now() - Date.parse(at))).toBeLessThan(SOON_MS);
  });

  it('a worker reports its wrong clock and stays ready', async () => {
    const worker = await rig.worker({}, undefined, (await rig.clock(offset)).wrapper);
    const { up, clock } = await worker.ready();
    expect(up).toBe(true);
    expect(clock).toMatch(new RegExp(`the clock of this machine is 3\\d{3}\\.\\d s ${side}.* the server's: keep it with NTP`));
    expect(worker.log().match(/the clock of this machine is/g)).toHaveLength(1);
  });
});

describe.each(OFFSETS)('a producer whose clock is an hour %s', (_, offset) => {
  beforeEach(async () => {
    rig = await Rig.start();
  });

  it('a producer with a wrong clock delays runs exactly', async () => {
    await rig.worker();
    const producer = await rig.producerWith(await rig.clock(offset));
    expect(Math.abs((await producer.now()) - Date.now())).toBeGreaterThan(HOUR_MS - SOON_MS);
    expect(Math.abs((await producer.serverNow()) - Date.now())).toBeLessThan(1000);
    for (const start of ['delay', 'at'] as const) {
      const from = Date.now();
      const id = await producer.run({ ...(start === 'at' ? { at: from + 2000 } : { delay: '2s' }), expiresIn: '10s' });
      expect(await producer.get(id)).toBe('queued');
      await rig.journal.started(id);
      expect(await storedMs()).toBeGreaterThanOrEqual(from + 1900);
      expect(await storedMs()).toBeLessThan(from + 10_000);
    }
  });

  it('a producer with a wrong clock expires no run early', async () => {
    await rig.worker();
    const producer = await rig.producerWith(await rig.clock(offset));
    await producer.run({ expiresIn: '30s' });
    await producer.runMany(20, { expiresIn: '30s' });
    await producer.fanOut(3, { expiresIn: '30s' });
    await rig.settled();
    expect(rig.journal.effects().size).toBe(24);
  });

  it('a producer with a wrong clock expires overdue runs', async () => {
    await provisioned();
    const producer = await rig.producerWith(await rig.clock(offset));
    const id = await producer.run({ expiresIn: '1s' });
    const storedAt = await storedMs();
    await until('it has expired', () => Date.now() > storedAt + 1100);
    await rig.worker();
    await until('it is recorded', async () => (await rig.eventsOf(id)).at(-1)?.type === 'expired');
  });

  it('a producer with a wrong clock signs valid commands', async () => {
    const key = nkeys.createUser();
    const seed = new TextDecoder().decode(key.getSeed());
    await rig.worker({}, undefined, [], { trust: { [WORKSPACE]: { signers: [key.getPublicKey()] } } });
    const producer = await rig.producerWith(await rig.clock(offset), { seed });
    const ids = [await producer.run(), await producer.run({ delay: '1s' }), await producer.run({ expiresIn: '30s' })];
    await rig.settled();
    for (const id of ids) await rig.journal.started(id);
    expect(await rig.deadLetters()).toEqual([]);
  });

  it('a producer with a wrong clock still finds queued runs', async () => {
    await provisioned();
    const producer = await rig.producerWith(await rig.clock(offset));
    const ids = [await producer.run(), await producer.run({ delay: '1h' }), ...(await producer.fanOut(2))];
    await producer.runMany(3000);
    for (const id of ids) {
      expect(await producer.get(id)).toBe('queued');
      expect(await producer.cancel(id)).toBe('canceled');
    }
  });

  it('a producer survives the correction of its clock', async () => {
    await provisioned();
    const clock = await rig.clock(offset);
    const producer = await rig.producerWith(clock);
    await producer.run();
    await clock.set('+0');
    expect(Math.abs((await producer.serverNow()) - Date.now())).toBeLessThan(1000);
    const id = await producer.run();
    expect(await producer.get(id)).toBe('queued');
  });
});

describe.each(OFFSETS)('a producer that may not ask for the time, and is an hour %s', (_, offset) => {
  const DENIED = `
authorization {
  users: [
    { user: admin, password: admin }
    { user: untold, password: untold, permissions: { publish: { deny: ["$SYS.REQ.USER.INFO", "$JS.API.STREAM.INFO.LOOPSTACK_RUNS"] } } }
  ]
}`;

  it('a producer without server time warns and works', async () => {
    rig = await Rig.start({ server: { config: DENIED } });
    await provisioned({ connect: { user: 'admin', pass: 'admin' } });
    const producer = await rig.producerWith(await rig.clock(offset), { user: 'untold', pass: 'untold' });
    const id = await producer.run();
    expect(producer.warnings).toEqual([]);
    expect(await producer.get(id)).toBe('queued');
    await producer.run({ expiresIn: '2h' });
    await producer.run({ expiresIn: '2h' });
    await until('it has said so', () => producer.warnings.length > 0);
    expect(producer.warnings).toEqual([expect.stringContaining('allow this user to publish to $SYS.REQ.USER.INFO')]);
    expect(await producer.cancel(id)).toBe('canceled');
  });
});

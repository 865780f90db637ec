import { AckPolicy, DeliverPolicy, DiscardPolicy, RetentionPolicy, StorageType } from 'nats';
import { Rig, STREAMS, WORKSPACE, held, timed, until } from '../rig/rig.js';

const WITHIN_MS = 10_000;

describe('deleted streams and consumers', () => {
  const rig = Rig.use('each', { nats: { publishTimeout: '2s' } });

  const recorded = (id: string) => async (): Promise<boolean> => (await rig.eventsOf(id)).some(({ type }) => type === 'succeeded');

  it('a recreated consumer repeats no executed command', async () => {
    await rig.worker();
    await rig.worker();
    await rig.runs(200);
    await rig.settled();
    await rig.jsm.consumers.delete(STREAMS.runs, 'Rig~Job');
    const run = await rig.run();
    const ms = await timed(() => until('the next run is done', recorded(run.id), WITHIN_MS));
    await rig.settled();
    const balance = await rig.balance();
    expect(balance).toMatchObject({ executed: 201, dead: 0, lost: [], duplicates: 0, twiceEnded: [] });
    held('consumer deleted', balance, { 'running again after': `${Math.round(ms)} ms` });
  });

  it('a consumer recreated under load repeats no run', async () => {
    const gate = rig.gate();
    await rig.worker({}, [{ workspace: WORKSPACE, name: 'Job', options: { lease: '1s', concurrency: 2 } }]);
    const runs = await rig.runs(2, { job: { do: 'hold', gate: gate.path } });
    for (const { id } of runs) await rig.journal.started(id);
    await rig.jsm.consumers.delete(STREAMS.runs, 'Rig~Job');
    await gate.open();
    const run = await rig.run();
    await until('the next run is done', recorded(run.id), WITHIN_MS);
    await rig.settled();
    const balance = await rig.balance();
    expect(balance).toMatchObject({ executed: 3, dead: 0, lost: [], duplicates: 0, twiceEnded: [] });
    held('consumer deleted under busy slots', balance);
  });

  it.each(['runs', 'events', 'dead'] as const)('the %s stream is recreated and serves the next run', async (which) => {
    const worker = await rig.worker();
    await rig.runs(20);
    await rig.settled();
    await rig.jsm.streams.delete(STREAMS[which]);
    const ms = await timed(async () => {
      const run = await until(
        'a run is stored',
        () => rig.run({ job: { do: which === 'dead' ? 'throw' : 'ok' } }).catch(() => undefined),
        WITHIN_MS,
      );
      if (which === 'dead') await until('its dead letter is written', async () => (await rig.deadLetters()).length === 1, WITHIN_MS);
      else await until('it is recorded', recorded(run.id), WITHIN_MS);
    });
    expect(ms).toBeLessThan(WITHIN_MS);
    await rig.settled();
    await until('readiness is green', async () => (await worker.ready()).up);
    held(`stream of ${which} deleted`, { 'running again after': `${Math.round(ms)} ms` });
  });

  it('without provisioning a deleted stream turns readiness red', async () => {
    const provisioner = await rig.worker();
    const worker = await rig.worker({ provision: false });
    await rig.runs(20);
    await rig.settled();
    expect(await worker.ready()).toEqual({ up: true, problems: [] });
    await provisioner.end();
    await rig.jsm.streams.delete(STREAMS.runs);
    const reason = /LOOPSTACK_RUNS does not exist, and provision is off/;
    const ms = await timed(() => until('readiness says why', async () => reason.test((await worker.ready()).problems.join()), WITHIN_MS));
    expect((await worker.ready()).up).toBe(false);
    // And heals when somebody makes it again.
    await rig.worker();
    await until('readiness is green', async () => (await worker.ready()).up);
    held('stream deleted, provision off', { 'readiness red after': `${Math.round(ms)} ms` });
  });
});

describe('streams and durables with other settings', () => {
  const rig = Rig.use('each');

  it('settings are updated where the server allows it', async () => {
    await rig.jsm.streams.add({
      name: STREAMS.runs,
      subjects: ['loopstack.run.>'],
      discard: DiscardPolicy.Old,
      max_age: 3600e9,
      max_msgs_per_subject: 1000,
    });
    await rig.jsm.streams.add({ name: STREAMS.events, subjects: ['loopstack.event.>'] });
    await rig.jsm.consumers.add(STREAMS.runs, {
      durable_name: 'Rig~Job',
      ack_policy: AckPolicy.Explicit,
      filter_subject: 'loopstack.run.Rig.Job',
      ack_wait: 60e9,
      max_deliver: 3,
      max_ack_pending: 10,
      backoff: [1e9, 2e9],
      inactive_threshold: 60e9,
    });
    await rig.worker({ runs: { maxBytes: '64MiB', deduplication: '1m' } });
    const { config } = await rig.jsm.streams.info(STREAMS.runs);
    expect(config).toMatchObject({
      discard: 'new',
      max_age: 0,
      max_msgs_per_subject: -1,
      max_bytes: 64 * 1024 * 1024,
      duplicate_window: 60e9,
    });
    expect(config.subjects).toEqual(expect.arrayContaining(['loopstack.run.*.*', 'loopstack.lane.*.*.*']));
    const consumer = (await rig.consumer()).config;
    expect(consumer).toMatchObject({ ack_wait: 1e9, max_deliver: -1, max_ack_pending: -1 });
    expect(consumer.backoff ?? []).toEqual([]);
    expect(consumer.inactive_threshold ?? 0).toBe(0);
    await rig.run();
    await rig.settled();
    held('settings that can be changed', { streams: 2, durables: 1, updated: 'all' });
  });

  it.each([
    [
      'storage',
      { storage: StorageType.Memory },
      /Stream LOOPSTACK_RUNS exists with storage = memory; file is needed.*Delete or rename it, choose another prefix/,
    ],
    ['retention', { retention: RetentionPolicy.Workqueue }, /Stream LOOPSTACK_RUNS exists with retention = workqueue; limits is needed/],
  ] as const)('an immutable %s of a stream stops the boot', async (field, config, message) => {
    await rig.jsm.streams.add({ name: STREAMS.runs, subjects: ['loopstack.run.*.*'], ...config });
    await expect(rig.worker()).rejects.toThrow(message);
    held(`stream with another ${field}`, { boot: 'stopped' });
  });

  it('an immutable setting of a durable stops the boot', async () => {
    const worker = await rig.worker();
    await worker.end();
    await rig.jsm.consumers.delete(STREAMS.runs, 'Rig~Job');
    await rig.jsm.consumers.add(STREAMS.runs, {
      durable_name: 'Rig~Job',
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.New,
      filter_subject: 'loopstack.run.Rig.Job',
    });
    await expect(rig.worker()).rejects.toThrow(/Consumer Rig~Job exists with deliver_policy = new; all is needed.*Delete or rename it/);
    held('durable with another deliver_policy', { boot: 'stopped' });
  });

  it('settings that refuse pulls turn readiness red', async () => {
    const first = await rig.worker();
    await first.end();
    const { config } = await rig.consumer();
    await rig.jsm.consumers.delete(STREAMS.runs, 'Rig~Job');
    await rig.jsm.consumers.add(STREAMS.runs, { ...config, max_waiting: 1 });
    const workers = [await rig.worker(), await rig.worker()];
    await until('readiness of one of them says why', async () => {
      const problems = await Promise.all(workers.map(async (worker) => (await worker.ready()).problems.join()));
      return problems.some((text) => /refuses to deliver: .*(max_waiting|MaxWaiting)/.test(text));
    });
    held('durable with too small a max_waiting', { readiness: 'red' });
  });

  it('without provisioning different settings are only reported', async () => {
    const worker = await rig.worker();
    await worker.end();
    await rig.jsm.consumers.update(STREAMS.runs, 'Rig~Job', { ack_wait: 60e9 });
    await expect(rig.worker({ provision: false })).rejects.toThrow(
      /Consumer Rig~Job exists with ack_wait = 60000000000; 1000000000 is needed/,
    );
    expect((await rig.consumer()).config.ack_wait).toBe(60e9);
    held('durable with another ack_wait, provision off', { boot: 'stopped' });
  });
});

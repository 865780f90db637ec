import type { LoopstackError } from '@loopstack/shared';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Rig, expectNothingFor, held, scaled, timed, until } from '../rig/rig.js';

describe('server outages', () => {
  const DOWN_MS = scaled(60_000, 4000);
  const rig = Rig.use('each', { nats: { publishTimeout: '2s' } });

  it('workers and producers recover from an outage without loss', async () => {
    const workers = [await rig.worker(), await rig.worker()];
    const patient = await rig.producer({ publishTimeout: DOWN_MS + 20_000 });
    const failing = await rig.producer({ whileDisconnected: 'fail' });
    const waiting = await rig.producer({ publishTimeout: '1s' });
    await rig.runs(200, { job: { do: 'slow', ms: 10 } });
    expect((await workers[0]?.ready())?.up).toBe(true);

    const during = rig.runs(50, { job: { do: 'slow', ms: 500 } });
    await until('some of them run', () => rig.journal.entries.length > 420);
    await rig.server.kill();
    const refused = (client: typeof failing) =>
      client.run('Job', 'Rig', {}, 'u1').then(
        () => 'stored',
        (error: LoopstackError) => error.code,
      );
    for (const worker of workers) {
      await until('readiness is red', async () => !(await worker.ready()).up, 10_000);
      expect((await worker.ready()).problems).toContain('the server does not answer');
      expect((await worker.ask<{ loopstack: { status: string } }>('live')).loopstack.status).toBe('up');
    }
    await until('the producer that does not wait is refused', async () => (await refused(failing)) === 'PUBLISH_UNAVAILABLE');
    const refusedMs = await timed(() => refused(failing));
    expect(refusedMs).toBeLessThan(500);
    expect(await refused(waiting)).toBe('PUBLISH_UNAVAILABLE');
    const kept = Array.from({ length: 20 }, () => patient.run('Job', 'Rig', {}, 'u1'));
    const ended: string[] = [];
    for (const run of kept) void run.finally(() => ended.push('a publish')).catch(() => undefined);
    for (const { exited } of workers) void exited.then(() => ended.push('a worker'));
    await expectNothingFor(DOWN_MS, 'an end of what waits for the server', () => ended[0]);

    await rig.server.restart();
    const upAt = Date.now();
    for (const { id } of await Promise.all(kept)) rig.acked.push(id);
    await during.catch(() => undefined);
    for (const worker of workers) await until('readiness is green', async () => (await worker.ready()).up);
    const greenMs = Date.now() - upAt;
    expect(greenMs).toBeLessThan(15_000);
    await rig.runs(200);
    await rig.settled();
    const balance = await rig.balance();
    expect(balance).toMatchObject({ executed: rig.acked.length, dead: 0, lost: [], twiceEnded: [] });
    // Those that ran when the server went away, and those whose acknowledgement it has forgotten.
    expect(balance.duplicates).toBeLessThanOrEqual(50);
    held(`server down for ${DOWN_MS / 1000} s`, balance, { 'ready again after': `${greenMs} ms` });
  });

  it('a worker replaces a silently dropped connection in time', async () => {
    const proxy = await rig.startProxy();
    await rig.worker({ servers: proxy.url });
    await rig.runs(20);
    await rig.settled();
    proxy.forget();
    const ms = await timed(async () => {
      await rig.runs(20);
      await rig.settled(15_000);
    });
    expect(ms).toBeLessThan(15_000);
    const balance = await rig.balance();
    expect(balance).toMatchObject({ executed: 40, dead: 0, lost: [], duplicates: 0, twiceEnded: [] });
    held('connection forgotten by a firewall', balance, { 'consuming again after': `${Math.round(ms)} ms` });
  });

  it('repeated server kills under load lose nothing', async () => {
    await rig.worker();
    await rig.worker();
    const count = scaled(10_000, 2000);
    const client = await rig.producer({ publishTimeout: '30s', maxInFlight: 64 });
    const published = Promise.all(Array.from({ length: count }, (_, i) => client.run('Job', 'Rig', { do: 'slow', ms: i % 20 }, 'u1')));
    for (let kills = 1; kills <= 3; kills++) {
      await until('some have run', () => rig.journal.effects().size > (kills * count) / 5, 60_000);
      await rig.server.kill();
      await rig.server.restart();
    }
    for (const { id } of await published) rig.acked.push(id);
    await rig.settled(60_000);
    const balance = await rig.balance();
    expect(balance).toMatchObject({ acked: count, executed: count, dead: 0, lost: [], twiceEnded: [] });
    // At most what ran in the moments of the kills.
    expect(balance.duplicates).toBeLessThanOrEqual(3 * 2 * 16);
    held('server killed three times under load', balance);
  });

  it('a forgetful server causes no second execution', async () => {
    const proxy = await rig.startProxy();
    const first = await rig.worker({ connect: { reconnectTimeWait: 50 } });
    await rig.worker({ servers: proxy.url, connect: { reconnectTimeWait: 50 } });
    const gate = rig.gate();
    // Stored and not delivered yet, as the server will remember it.
    const pause = { pause_until: new Date(Date.now() + 2000).toISOString() };
    await rig.nc.request('$JS.API.CONSUMER.PAUSE.LOOPSTACK_RUNS.Rig~Job', JSON.stringify(pause));
    const runs = await rig.runs(32, { job: { do: 'hold', gate: gate.path } });
    await rig.server.kill();
    const data = join(rig.server.storeDir, 'jetstream');
    const before = join(rig.home, 'before');
    await cp(data, before, { recursive: true });
    await rig.server.restart();
    for (const { id } of runs) await rig.journal.started(id);
    proxy.isolate();
    await rig.server.kill();
    await gate.open();
    await until('all have run', () => rig.journal.effects().size === runs.length);
    await rm(data, { recursive: true });
    await cp(before, data, { recursive: true });
    const reconnects = (): number => first.log().split('Reconnected to').length;
    const known = reconnects();
    await rig.server.restart();
    // One worker is back before the other one has told what it ran.
    await until('the first worker is back', () => reconnects() > known);
    proxy.heal();
    await until('all are recorded', async () => (await rig.events()).size === runs.length);
    await rig.settled();
    const balance = await rig.balance();
    expect(balance).toMatchObject({ executed: 32, dead: 0, lost: [], duplicates: 0, twiceEnded: [] });
    held('deliveries forgotten by a server', balance);
  });
});

import { LoopstackClient } from '@loopstack/client';
import { schemaCheck } from '@loopstack/nats';
import { Workflow, Workspace, type RunContext } from '@loopstack/core';
import type { INestMicroservice } from '@nestjs/common';
import { IsOptional, IsString } from 'class-validator';
import { connect, type NatsConnection } from 'nats';
import { startApp } from '../rig/app.js';
import { byConfiguration, byOperator, type Deploy, type Deployment } from './deployment.js';

class Payload {
  @IsString() @IsOptional() echo?: string;
}

@Workflow({ payload: Payload })
class Job {
  run({ echo }: Payload, { userId }: RunContext): string {
    return echo ?? userId;
  }
}
@Workspace({ workflows: [Job] })
class Orders {}
@Workspace({ workflows: [Job] })
class Stock {}

const TENANTS = [
  { name: 'plain', workspaces: ['Orders', 'Stock'], allow: [] },
  { name: 'trusted', workspaces: ['Orders'], allow: ['lanes', 'cancel', 'schedules', 'catalogue'] },
] as const;
const FORMS: readonly (readonly [string, Deploy])[] = [
  ['configuration files', byConfiguration],
  ['operator mode', byOperator],
];
const item = (echo: string, workflow = 'Job') => ({ workflow, workspace: 'Orders', payload: { echo }, userId: 'u1' });

describe.each(FORMS)('by %s', (_, deploy) => {
  let deployment: Deployment;
  let worker: INestMicroservice;
  let nc: NatsConnection;
  let plain: LoopstackClient;
  let trusted: LoopstackClient;
  /** The same tenant, without looking workflows up. */
  let opened: LoopstackClient;

  beforeAll(async () => {
    deployment = await deploy(TENANTS);
    worker = await startApp([Job, Orders, Stock], { servers: deployment.server.url, ...deployment.worker });
    nc = await connect(deployment.tenant('plain'));
    plain = new LoopstackClient(nc, { publishTimeout: '2s' });
    trusted = await LoopstackClient.connect({ ...deployment.tenant('trusted'), checkCatalogue: true });
    opened = await LoopstackClient.connect(deployment.tenant('trusted'));
  });

  afterAll(async () => {
    await Promise.all([plain?.close(), trusted?.close(), opened?.close()]);
    await nc?.close();
    await worker?.close();
    await deployment?.stop();
  });

  it('a tenant starts runs of each of its workspaces and reads their results', async () => {
    for (const workspace of ['Orders', 'Stock']) {
      const run = await plain.run('Job', workspace, { echo: workspace }, 'u1');
      expect(run.sequence).toBeGreaterThan(0);
      expect(await run.result({ timeout: '20s' })).toBe(workspace);
      expect(await run.status()).toMatchObject({ status: 'succeeded', result: workspace });
      expect(await plain.get(run.id, { workspace, workflow: 'Job' })).toMatchObject({ status: 'succeeded' });
    }
  });

  it('a plain publish is a whole run, and its reply the acknowledgement', async () => {
    const answer = await nc.request('loopstack.run.Orders.Job', '{"userId":"raw","payload":{}}', { timeout: 5000 });
    expect(answer.json()).toMatchObject({ stream: 'LOOPSTACK_RUNS', seq: expect.any(Number) });
  });

  it('a run that waits has the status queued, as far as its handle was told', async () => {
    const run = await plain.run('NobodyServesThis', 'Orders', {}, 'u1');
    expect(await run.status()).toMatchObject({ status: 'queued', sequence: run.sequence });
    await expect(plain.get(run.id, { workspace: 'Orders', workflow: 'NobodyServesThis' })).rejects.toMatchObject({
      code: 'STREAM_UNAVAILABLE',
    });
  });

  it('many runs, all or nothing, and bulk are as elsewhere', async () => {
    const runs = await plain.fanOut(Array.from({ length: 20 }, (_unused, i) => item(`f${i}`)));
    expect(await Promise.all(runs.map((run) => run.result({ timeout: '20s' })))).toEqual(runs.map((_run, i) => `f${i}`));
    const startedMs = performance.now();
    const report = await plain.runMany(Array.from({ length: 2000 }, (_unused, i) => item(`m${i}`, 'Bulk')));
    expect(report).toMatchObject({ accepted: 2000, failed: 0 });
    const operator = await connect(deployment.operator);
    const { state } = await (await operator.jetstreamManager()).streams.info('LOOPSTACK_RUNS', { subjects_filter: '>' });
    await operator.close();
    expect(state.subjects?.['loopstack.run.Orders.Bulk']).toBe(2000);
    // Bulk that nobody acknowledges would be waited for until its timeout.
    expect(performance.now() - startedMs).toBeLessThan(20_000);
  });

  it('a key starts one run, though the worker claims it alone', async () => {
    const run = await plain.run('Job', 'Orders', { echo: 'one' }, 'u1', { idempotencyKey: 'k1' });
    expect(await run.result({ timeout: '20s' })).toBe('one');
    const again = await plain.run('Job', 'Orders', { echo: 'one' }, 'u1', { idempotencyKey: 'k1' });
    expect(again.duplicate).toBe(true);
    expect(await again.result({ timeout: '20s' })).toBe('one');
  });

  it.each([
    ['another workspace', () => plain.run('Job', 'Payments', {}, 'u1')],
    ['a lane', () => plain.run('Job', 'Orders', {}, 'u1', { priority: 'high' })],
    ['a delay', () => plain.run('Job', 'Orders', {}, 'u1', { delay: '1s' })],
    ['a cancel', async () => (await plain.run('NobodyServesThis', 'Orders', {}, 'u1')).cancel()],
    ['the history of a run', async () => (await (await plain.run('Job', 'Orders', {}, 'u1')).events()[Symbol.asyncIterator]().next()).done],
    ['the list of runs', () => plain.list()],
  ])('a right that is not granted is refused: %s', async (_what, act) => {
    await expect(act()).rejects.toMatchObject({ code: expect.stringMatching(/^(PUBLISH|STREAM)_UNAVAILABLE$/) });
  });

  it('granted lanes, delays, cancels and catalogue work', async () => {
    expect(await (await trusted.run('Job', 'Orders', { echo: 'lane' }, 'u1', { priority: 'high' })).result({ timeout: '20s' })).toBe(
      'lane',
    );
    expect(await (await trusted.run('Job', 'Orders', { echo: 'late' }, 'u1', { delay: '1s' })).result({ timeout: '20s' })).toBe('late');
    await expect(trusted.run('Unknown', 'Orders', {}, 'u1')).rejects.toMatchObject({ code: 'WORKFLOW_UNKNOWN' });
    const waiting = await opened.run('NobodyServesThis', 'Orders', {}, 'u1');
    expect(await waiting.cancel()).toMatchObject({ status: 'canceled' });
    await expect(waiting.result({ timeout: '20s' })).rejects.toMatchObject({ code: 'RUN_CANCELED' });
  });
});

describe('payloads that the catalogue refuses', () => {
  it('a repeated refusal costs a tenant no question', async () => {
    const deployment = await byConfiguration(TENANTS);
    const worker = await startApp([Job, Orders, Stock], { servers: deployment.server.url, ...deployment.worker });
    const nc = await connect(deployment.tenant('trusted'));
    const client = new LoopstackClient(nc, { checkCatalogue: true, checkSchema: schemaCheck(), requestTimeout: '1s' });
    const refused = (): Promise<unknown> => client.run('Job', 'Orders', { echo: 5 }, 'u1').catch((error: unknown) => error);
    expect(await refused()).toMatchObject({ code: 'PAYLOAD_INVALID' });
    const { outMsgs } = nc.stats();
    expect(await refused()).toMatchObject({ code: 'PAYLOAD_INVALID' });
    expect(nc.stats().outMsgs).toBe(outMsgs);
    await client.close();
    await nc.close();
    await worker.close();
    await deployment.stop();
  });
});

describe('activations in operator mode', () => {
  const thief = { name: 'thief', workspaces: ['Stock'], allow: [] } as const;
  let deployment: Deployment | undefined;
  let worker: INestMicroservice | undefined;

  afterEach(async () => {
    await worker?.close();
    await deployment?.stop();
  });

  it.each([
    ['another account', { name: 'plain' }, false],
    ['other workspaces', { workspaces: ['Orders'] }, false],
    ['that account and workspace', {}, true],
  ])('activations of %s are accepted only where they belong', async (_what, activated, starts) => {
    deployment = await byOperator([...TENANTS, thief], { activatedAs: { thief: activated } });
    worker = await startApp([Job, Orders, Stock], { servers: deployment.server.url, ...deployment.worker });
    const entered = LoopstackClient.connect(deployment.tenant('thief'));
    // The server lets nobody into an account whose imports are not what was signed.
    if (!starts) return expect(entered).rejects.toMatchObject({ code: 'CONNECTION_DENIED' });
    const client = await entered;
    expect(await (await client.run('Job', 'Stock', {}, 'u1')).result({ timeout: '20s' })).toBe('u1');
    await client.close();
  });
});

import { RunService, Workflow, Workspace } from '@loopstack/core';
import { Deployment, type Queue } from '@loopstack/nats';
import type { RunHandle } from '@loopstack/shared';
import type { INestMicroservice } from '@nestjs/common';
import { startApp } from './rig/app.js';
import { harness } from './rig/harness.js';
import { codeOf } from './client/rig.js';
import { until } from './until.js';

let open: () => void;
let gate: Promise<void>;

@Workflow({ priorities: true })
class Gated {
  async run(): Promise<string> {
    await gate;
    return 'done';
  }
}

@Workflow()
class Free {
  run(): string {
    return 'done';
  }
}

@Workspace({ workflows: [Gated, Free] })
class Works {}

const GATED = { workspace: 'Works', workflow: 'Gated' };
const FREE = { workspace: 'Works', workflow: 'Free' };

const rig = harness();
let app: INestMicroservice;
let runs: RunService;
let deployment: Deployment;

beforeAll(async () => {
  await rig.startServer();
  app = await startApp([Gated, Free, Works], { servers: rig.url });
  runs = app.get(RunService);
  deployment = app.get(Deployment);
});
afterAll(() => app?.close());
beforeEach(() => {
  gate = new Promise((resolve) => (open = resolve));
});

const sum = (queues: readonly Queue[], field: 'pending' | 'active'): number => queues.reduce((total, queue) => total + queue[field], 0);
const queuesOf = async (workflow: string): Promise<readonly Queue[]> =>
  (await deployment.queues()).filter((queue) => queue.workflow === workflow);
const endedMs = async (run: RunHandle): Promise<number> => Date.parse((await run.status()).updatedAt ?? '');

it('a pause holds every lane and lets runs finish', async () => {
  const running = await runs.run(Gated, Works, {}, 'u1');
  await until('it executes', async () => sum(await queuesOf('Gated'), 'active') === 1);
  const paused = await deployment.pause(GATED);
  expect(paused.map(({ lane, paused: isPaused }) => [lane, isPaused])).toEqual([
    [undefined, true],
    ['high', true],
    ['low', true],
  ]);
  expect(sum(paused, 'active')).toBe(1);
  const waiting = await Promise.all((['high', 'normal', 'low'] as const).map((priority) => runs.run(Gated, Works, {}, 'u1', { priority })));
  // Another workflow goes on, so the worker had time for these.
  expect(await (await runs.run(Free, Works, {}, 'u1')).result()).toBe('done');
  open();
  expect(await running.result()).toBe('done');
  await until('all wait', async () => sum(await queuesOf('Gated'), 'pending') === 3);
  const resumedMs = Date.now();
  expect((await deployment.resume(GATED)).map(({ pausedUntil }) => pausedUntil)).toEqual([undefined, undefined, undefined]);
  for (const run of waiting) {
    expect(await run.result()).toBe('done');
    // The worker estimates the server's time, within a round trip.
    expect(await endedMs(run)).toBeGreaterThanOrEqual(resumedMs - 100);
  }
  expect(await deployment.resume(GATED)).toHaveLength(3);
});

it('a pause with a duration ends by itself', async () => {
  const [paused] = await deployment.pause(FREE, { for: '2s' });
  const untilMs = Date.parse(paused?.pausedUntil ?? '');
  const run = await runs.run(Free, Works, {}, 'u1');
  expect(await run.result({ timeout: '20s' })).toBe('done');
  expect(await endedMs(run)).toBeGreaterThanOrEqual(untilMs - 100);
  expect((await queuesOf('Free')).map(({ pausedUntil }) => pausedUntil)).toEqual([undefined]);
});

it('a pause again moves its end', async () => {
  const end = async (duration: '1h' | '2h'): Promise<number> =>
    Date.parse((await deployment.pause(FREE, { for: duration }))[0]?.pausedUntil ?? '');
  const [first, second] = [await end('1h'), await end('2h')];
  expect(second - first).toBeGreaterThan(3_500_000);
  await deployment.resume(FREE);
});

it('a pause outlasts a restart of the server', async () => {
  const [before] = await deployment.pause(FREE);
  await rig.server.kill('SIGKILL');
  await rig.server.restart();
  const after = await until('the server answers', () => queuesOf('Free'));
  expect(after).toMatchObject([{ paused: true, pausedUntil: before?.pausedUntil }]);
  await deployment.resume(FREE);
  expect(await (await runs.run(Free, Works, {}, 'u1')).result()).toBe('done');
});

it('a workflow that no worker has served is refused', async () => {
  expect(await codeOf(deployment.pause({ workspace: 'Works', workflow: 'Fre' }))).toBe('WORKFLOW_UNKNOWN');
  expect(await codeOf(deployment.resume({ workspace: 'Work', workflow: 'Free' }))).toBe('WORKSPACE_UNKNOWN');
  expect(await codeOf(deployment.pause({ workspace: '*', workflow: 'Free' }))).toBe('NAME_INVALID');
  for (const wrong of ['soon', 0, -1, 1e15]) expect(await codeOf(deployment.pause(FREE, { for: wrong as never }))).toBe('OPTION_INVALID');
  expect((await queuesOf('Free'))[0]?.paused).toBe(false);
});

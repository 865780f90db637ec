import { LoopstackClient } from '@loopstack/client';
import { Workflow, Workspace, type RunContext } from '@loopstack/core';
import { HEADER, keyedRunId, wireNames } from '@loopstack/shared/contract';
import { headers, type NatsConnection } from 'nats';
import { harness } from './rig/harness.js';
import { until } from './until.js';
import { unsettled } from './unsettled.js';

const names = wireNames();
const begun: string[] = [];
const reasons = new Map<string, unknown>();
const gates = new Map<string, () => void>();

/** Runs until its gate is opened, or its signal says that it must end. */
function hold({ runId, signal, attempt }: RunContext): Promise<number> {
  begun.push(runId);
  return new Promise((resolve, reject) => {
    gates.set(runId, () => resolve(attempt));
    signal.addEventListener('abort', () => {
      reasons.set(runId, (signal.reason as { code?: string }).code);
      reject(signal.reason as Error);
    });
  });
}

@Workflow({ concurrency: 1 })
class Hold {
  run(_: object, ctx: RunContext): Promise<number> {
    return hold(ctx);
  }
}

@Workflow({ retry: { attempts: 3, delay: '1m', jitter: 0 } })
class Fail {
  run(_: object, { runId }: RunContext): void {
    begun.push(runId);
    throw new Error('boom');
  }
}

@Workflow()
class Other {
  run(_: object, { runId }: RunContext): string {
    begun.push(`other ${runId}`);
    return 'done';
  }
}

@Workspace({ workflows: [Hold, Fail, Other] })
class Space {}

describe('the cancel of a run', () => {
  const rig = harness();
  let client: LoopstackClient;
  let nc: NatsConnection;

  beforeAll(async () => {
    await rig.startServer();
    await rig.startApp([Hold, Fail, Other, Space]);
    client = await rig.connectClient();
    nc = await rig.connect();
  });

  const settled = async (workflow: string): Promise<void> => {
    const jsm = await nc.jetstreamManager();
    await until('everything is settled', async () => (await unsettled(jsm, names.streams.runs, `Space~${workflow}`)) === 0);
  };
  const notice = (workflow: string, runId: string, workspace = 'Space'): Promise<unknown> =>
    nc.request(names.cancel({ workspace, workflow }, runId), '');

  it('during it aborts its signal, and before its start lets it not begin', async () => {
    const first = await client.run('Hold', 'Space', {}, 'u');
    const second = await client.run('Hold', 'Space', {}, 'u');
    await until('the first one runs', () => begun.includes(first.id));
    expect(await second.cancel()).toMatchObject({ status: 'canceled', attempt: 0 });
    expect(await first.cancel()).toMatchObject({ status: 'canceled' });
    await until('its signal is aborted', () => reasons.get(first.id) === 'RUN_CANCELED');
    await settled('Hold');
    expect(begun).not.toContain(second.id);
    await expect(second.result()).rejects.toMatchObject({ code: 'RUN_CANCELED' });
  });

  it('between its attempts lets it not begin again', async () => {
    const run = await client.run('Fail', 'Space', {}, 'u');
    await until('it waits for its second attempt', async () => (await run.status()).status === 'retrying');
    expect(await run.cancel()).toMatchObject({ status: 'canceled', attempt: 1 });
    expect(begun.filter((id) => id === run.id)).toHaveLength(1);
  });

  it('is none of a run with the same id of another workflow', async () => {
    const start = async (workflow: string): Promise<void> => {
      const given = headers();
      given.set(HEADER.RUN_ID, 'order-1');
      await nc.request(names.run({ workspace: 'Space', workflow }), '{"userId":"u"}', { headers: given, timeout: 5000 });
    };
    await start('Fail');
    const address = { workspace: 'Space', workflow: 'Fail' };
    await until('it failed once', async () => (await client.get('order-1', address)).status === 'retrying');
    await client.cancel('order-1', address);
    await start('Other');
    expect(await client.handle({ workspace: 'Space', workflow: 'Other' }, 'order-1').result()).toBe('done');
  });

  it('is what its history says: a notice alone neither ends a run nor keeps it from its start', async () => {
    const keyed = keyedRunId('Space', 'Other', 'invoice-7');
    for (const workspace of ['Space', 'Elsewhere']) await notice('Other', keyed, workspace);
    const run = await client.run('Other', 'Space', {}, 'u', { idempotencyKey: 'invoice-7' });
    expect(run.id).toBe(keyed);
    expect(await run.result()).toBe('done');

    const held = await client.run('Hold', 'Space', {}, 'u');
    await until('it runs', () => begun.includes(held.id));
    await notice('Hold', held.id);
    // A worker that has looked at a later cancel has looked at this one.
    const later = await client.run('Fail', 'Space', {}, 'u');
    await until('the later one waits', async () => (await later.status()).status === 'retrying');
    await later.cancel();
    gates.get(held.id)?.();
    expect(await held.result()).toBe(1);
    expect(reasons.has(held.id)).toBe(false);
  });
});

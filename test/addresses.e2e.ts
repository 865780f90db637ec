import { LoopstackClient } from '@loopstack/client';
import { DeadLetters } from '@loopstack/nats';
import { NonRetryableError, RunService, Workflow, Workspace, type RunContext } from '@loopstack/core';
import { HEADER, wireNames } from '@loopstack/shared/contract';
import type { INestMicroservice } from '@nestjs/common';
import { headers, type NatsConnection } from 'nats';
import { harness } from './rig/harness.js';
import { until } from './until.js';

const begun: string[] = [];
const aborted: string[] = [];
let mended = false;

@Workflow()
class Hold {
  async run(_: object, { workspace, runId, signal }: RunContext): Promise<void> {
    begun.push(`${workspace} ${runId}`);
    await new Promise((_resolve, reject) =>
      signal.addEventListener('abort', () => {
        aborted.push(`${workspace} ${runId}`);
        reject(signal.reason as Error);
      }),
    );
  }
}

@Workflow()
class Mend {
  run(): string {
    if (!mended) throw new NonRetryableError('not yet');
    return 'done';
  }
}

@Workspace({ workflows: [Hold, Mend] })
class Orders {}

@Workspace({ workflows: [Hold, Mend] })
class Payments {}

const names = wireNames();

describe('two runs with one id', () => {
  const rig = harness();
  let app: INestMicroservice;
  let client: LoopstackClient;
  let nc: NatsConnection;
  beforeAll(async () => {
    await rig.startServer();
    app = await rig.startApp([Hold, Mend, Orders, Payments]);
    client = await rig.connectClient();
    nc = await rig.connect();
  });

  async function store(workspace: string, workflow: string, id: string): Promise<void> {
    const given = headers();
    given.set(HEADER.RUN_ID, id);
    await nc.request(names.run({ workspace, workflow }), '{"userId":"u1"}', { headers: given, timeout: 5000 });
  }

  it('runs with one id are canceled by address', async () => {
    const runs = app.get(RunService);
    for (const workspace of ['Orders', 'Payments']) await store(workspace, 'Hold', 'shared-1');
    await until('both run', () => begun.includes('Orders shared-1') && begun.includes('Payments shared-1'));
    await expect(runs.cancel('shared-1')).rejects.toMatchObject({ code: 'RUN_AMBIGUOUS' });
    await expect(runs.get('shared-1')).rejects.toMatchObject({ code: 'RUN_AMBIGUOUS' });
    expect(await runs.cancel({ workspace: Payments, workflow: Hold, id: 'shared-1' })).toMatchObject({
      status: 'canceled',
      workspace: 'Payments',
    });
    await until('that one is aborted', () => aborted.includes('Payments shared-1'));
    expect(aborted).not.toContain('Orders shared-1');
    expect(await runs.cancel(client.handle({ workspace: 'Orders', workflow: 'Hold' }, 'shared-1'))).toMatchObject({ workspace: 'Orders' });
    await until('the other one is, too', () => aborted.includes('Orders shared-1'));
    for (const wrong of [{ workspace: 'Orders', id: 'x' }, { workspace: '*', workflow: 'Hold', id: 'x' }, null])
      await expect(runs.cancel(wrong as never)).rejects.toMatchObject({ code: 'NAME_INVALID' });
  });

  it('runs with one id are redriven one by one', async () => {
    const letters = app.get(DeadLetters);
    for (const workspace of ['Orders', 'Payments']) await store(workspace, 'Mend', 'shared-2');
    const found = await until('both are dead letters', async () => {
      const all = await letters.list({ runId: 'shared-2' });
      return all.length === 2 ? all : undefined;
    });
    mended = true;
    for (const act of [letters.redrive.bind(letters), letters.discard.bind(letters)])
      await expect(act({ runId: 'shared-2' })).rejects.toMatchObject({
        code: 'RUN_AMBIGUOUS',
        message: expect.stringContaining('Orders.Mend.shared-2 and Payments.Mend.shared-2'),
      });
    expect(await letters.list({ runId: 'shared-2' })).toHaveLength(2);
    const theirs = found.find(({ workspace }) => workspace === 'Orders');
    expect(await letters.discard({ runId: 'shared-2', workspace: 'Orders', workflow: 'Mend' })).toEqual({
      done: [theirs?.deadSequence],
      failed: [],
    });
    // Only one is left, so the id is enough.
    expect((await letters.redrive({ runId: 'shared-2' })).done).toHaveLength(1);
    await until(
      'it has run again',
      async () => (await client.get({ workspace: 'Payments', workflow: 'Mend', id: 'shared-2' })).status === 'succeeded',
    );
  });
});

import { LoopstackClient } from '@loopstack/client';
import { schemaCheck } from '@loopstack/nats';
import { RunService, Workflow, Workspace } from '@loopstack/core';
import type { INestMicroservice, LoggerService, Type } from '@nestjs/common';
import { IsBoolean, IsInt, IsString } from 'class-validator';
import { startApp } from './rig/app.js';
import { harness } from './rig/harness.js';
import { until } from './until.js';

class Parcel {
  @IsString() to!: string;
  @IsInt() grams!: number;
}

@Workflow({ title: 'Ship a parcel', payload: Parcel })
class Ship {
  run({ grams }: Parcel): number {
    return grams;
  }
}

@Workspace({ workflows: [Ship] })
class Depot {}

class LaterParcel extends Parcel {
  @IsBoolean() express!: boolean;
}

/** The same workflow in the release after. */
@Workflow({ name: 'Ship', title: 'Ship a parcel, perhaps soon', payload: LaterParcel })
class LaterShip {
  run({ grams }: LaterParcel): number {
    return -grams;
  }
}

@Workspace({ name: 'Depot', workflows: [LaterShip] })
class LaterDepot {}

describe('the catalogue while two releases run', () => {
  const rig = harness();
  const apps: INestMicroservice[] = [];
  let client: LoopstackClient;
  const start = async (providers: Parameters<typeof startApp>[0]): Promise<void> => {
    apps.push(await rig.startApp(providers, { releaseSilence: '4s' }));
  };
  const run = async (payload: object): Promise<unknown> => (await client.run('Ship', 'Depot', payload, 'u')).result({ timeout: '60s' });

  beforeAll(async () => {
    await rig.startServer();
    client = await rig.connectClient({ checkCatalogue: true, checkSchema: schemaCheck() });
  });

  it('refuses a producer nothing that one of them accepts, and all that neither does', async () => {
    await start([Ship, Depot]);
    expect(await run({ to: 'x', grams: 5 })).toBe(5);
    await expect(run({ to: 'x', grams: 5, express: true })).rejects.toMatchObject({ code: 'PAYLOAD_INVALID' });
    await start([LaterShip, LaterDepot]);
    expect(await client.catalogue.shared()).toMatchObject([{ workspace: 'Depot', workflow: 'Ship', contracts: { length: 2 } }]);
    // What the client has read of the catalogue is of before.
    expect(await run({ to: 'x', grams: 5, express: true })).toBe(-5);
    expect(await run({ to: 'x', grams: 5 })).toBe(5);
    for (const payload of [{ to: 1, grams: 5 }, { to: 'x', grams: 5, express: 'yes' }, {}]) {
      await expect(run(payload)).rejects.toMatchObject({ code: 'PAYLOAD_INVALID' });
    }
    expect(await client.catalogue.list()).toHaveLength(1);
  });

  it('forgets a release whose workers have stopped', async () => {
    await rig.stop(apps[0]);
    await until('one release is left', async () => (await client.catalogue.shared()).length === 0);
    await expect(run({ to: 'x', grams: 5 })).rejects.toMatchObject({ code: 'PAYLOAD_INVALID', errors: [{ path: 'express' }] });
    expect(await run({ to: 'x', grams: 6, express: true })).toBe(-6);
  });
});

describe('the catalogue that a worker publishes', () => {
  const rig = harness();
  let producer: INestMicroservice;
  let client: LoopstackClient;

  beforeAll(async () => {
    await rig.startServer();
    await rig.startApp([Ship, Depot]);
    producer = await rig.startApp([]);
    client = await rig.connectClient({ checkCatalogue: true, checkSchema: schemaCheck() });
    await until('the catalogue is published', async () => (await client.catalogue.list().catch(() => [])).length > 0);
  });

  it('names workflows, and says what their payloads are', async () => {
    expect(await client.catalogue.list()).toEqual([
      expect.objectContaining({
        workspace: 'Depot',
        workflow: 'Ship',
        title: 'Ship a parcel',
        payload: expect.objectContaining({ required: ['to', 'grams'], additionalProperties: false }),
      }),
    ]);
  });

  const starts: readonly (readonly [
    string,
    (workflow: string, workspace: string, payload: unknown) => Promise<{ result(): Promise<unknown> }>,
  ])[] = [
    ['RunService in a process without the classes', (...args) => producer.get(RunService).run(...args, 'u')],
    ['the client without Nest', (...args) => client.run(...args, 'u')],
  ];

  it.each(starts)('lets %s start what is good', async (_, run) => {
    expect(await (await run('Ship', 'Depot', { to: 'x', grams: 5 })).result()).toBe(5);
  });

  it.each(starts)('lets %s refuse an unknown name and a wrong payload before anything is published', async (_, run) => {
    await expect(run('Ship', 'Nowhere', {})).rejects.toMatchObject({ code: 'WORKSPACE_UNKNOWN' });
    await expect(run('Shop', 'Depot', {})).rejects.toMatchObject({ code: 'WORKFLOW_UNKNOWN' });
    await expect(run('Ship', 'Depot', { to: 1, grams: 2, more: 3 })).rejects.toMatchObject({
      code: 'PAYLOAD_INVALID',
      errors: expect.arrayContaining([
        expect.objectContaining({ path: 'to', received: 'number' }),
        expect.objectContaining({ path: 'more' }),
      ]),
    });
  });

  it('is asked once for a workflow by a burst of runs', async () => {
    const cold = await rig.connectClient({ checkCatalogue: true });
    const watcher = await rig.connect();
    let asked = 0;
    watcher.subscribe('$JS.API.DIRECT.GET.KV_LOOPSTACK_CATALOGUE.>', { callback: () => asked++ });
    await watcher.flush();
    await Promise.all(Array.from({ length: 1000 }, () => cold.run('Ship', 'Depot', { to: 'x', grams: 1 }, 'u')));
    const wrong = await Promise.allSettled(Array.from({ length: 1000 }, () => cold.run('Shop', 'Depot', {}, 'u')));
    expect(wrong.filter(({ status }) => status === 'rejected')).toHaveLength(1000);
    await watcher.flush();
    expect(asked).toBe(2);
  });
});

describe('two workflows whose payloads have exchanged their names since the last release', () => {
  class Refund {
    @IsString() reason!: string;
  }
  const release = (first: Type<object>, second: Type<object>): Type<object>[] => {
    @Workflow({ name: 'Alpha', payload: first })
    class Alpha {
      run(): void {}
    }
    @Workflow({ name: 'Beta', payload: second })
    class Beta {
      run(): void {}
    }
    @Workspace({ name: 'Depot', workflows: [Alpha, Beta] })
    class Space {}
    return [Alpha, Beta, Space];
  };

  const rig = harness();

  it('are told of in the log', async () => {
    await rig.startServer();
    const first = await rig.startApp(release(Parcel, Refund));
    const client = await rig.connectClient();
    await until('the catalogue is published', async () => (await client.catalogue.list().catch(() => [])).length === 2);
    await rig.stop(first);
    const warnings: string[] = [];
    const quiet = (): void => undefined;
    const warn = (message: unknown): void => void warnings.push(String(message));
    const logger: LoggerService = { log: quiet, error: quiet, warn };
    await rig.startApp(release(Refund, Parcel), {}, {}, logger);
    await until('both are told of', () => warnings.filter((line) => line.includes('exchanged by a minifier')).length === 2);
    expect(warnings.join()).toContain('Depot.Alpha has the payload that Depot.Beta had before');
  });
});

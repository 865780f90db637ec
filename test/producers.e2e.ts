import { RunService, Schedule, Workflow, Workspace, type RunContext } from '@loopstack/core';
import type { INestMicroservice } from '@nestjs/common';
import { IsInt } from 'class-validator';
import { startApp } from './rig/app.js';
import { harness } from './rig/harness.js';
import { until } from './until.js';

class Amount {
  @IsInt() amount!: number;
}

const seen: number[] = [];

@Workflow({ payload: Amount })
class Add {
  run({ amount }: Amount): { next: number } {
    seen.push(amount);
    return { next: amount + 1 };
  }
}

@Workflow()
class Wait {
  run(_: unknown, { signal }: RunContext): Promise<void> {
    return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
  }
}

let ticks = 0;

@Workflow({ name: 'Tick' })
@Schedule({ every: '1s' }, { id: 'often' })
class Tick {
  run(): void {
    ticks++;
  }
}

/** The same workflow in a later version of the code. */
@Workflow({ name: 'Tick' })
@Schedule('0 0 9 * * *', { timeZone: 'Europe/Berlin', id: 'daily' })
class TickDaily {
  run(): void {}
}

@Workspace({ name: 'Space', workflows: [Add, Tick, Wait] })
class Space {}

@Workspace({ name: 'Space', workflows: [Add, TickDaily, Wait] })
class LaterSpace {}

describe('RunService', () => {
  const rig = harness();
  let app: INestMicroservice;
  let runs: RunService;

  beforeAll(async () => {
    await rig.startServer();
    app = await rig.startApp([Add, Tick, Wait, Space]);
    runs = app.get(RunService);
  });

  it('runs and waits in one call, with a typed result', async () => {
    const { next }: { next: number } = await runs.runAndWait(Add, Space, { amount: 1 }, 'u');
    expect(next).toBe(2);
  });

  it('starts a run for each item of a stream, and reports each that was refused', async () => {
    async function* items(): AsyncGenerator<{ workflow: string; workspace: string; payload: unknown; userId: string }> {
      for (let amount = 0; amount < 500; amount++)
        yield { workflow: 'Add', workspace: 'Space', payload: { amount: amount % 100 === 7 ? 'x' : amount }, userId: 'u' };
    }
    const progress: number[] = [];
    const report = await runs.runMany(items(), { onProgress: ({ accepted }) => progress.push(accepted) });
    expect(report).toMatchObject({ accepted: 495, failed: 5 });
    expect(report.failures.map(({ index, error }) => [index, error.code])).toEqual(
      [7, 107, 207, 307, 407].map((index) => [index, 'PAYLOAD_INVALID']),
    );
    expect(progress.at(-1)).toBe(495);
  });

  it('starts all runs of a fan-out, or none', async () => {
    const item = (amount: unknown): { workflow: string; workspace: string; payload: unknown; userId: string } => ({
      workflow: 'Add',
      workspace: 'Space',
      payload: { amount },
      userId: 'u',
    });
    await expect(runs.fanOut([item(9001), item('x')])).rejects.toMatchObject({ code: 'PAYLOAD_INVALID' });
    const handles = await runs.fanOut([item(9002), item(9003)]);
    expect(await Promise.all(handles.map((run) => run.result()))).toEqual([{ next: 9003 }, { next: 9004 }]);
    expect(seen).not.toContain(9001);
  });

  it('starts batches by classes, which type payloads and results', async () => {
    const add = { workflow: Add, workspace: Space, payload: { amount: 9100 }, userId: 'u' };
    const [one, other, named] = await runs.fanOut([add, { ...add, payload: { amount: 9101 } }, { ...add, workspace: 'Space' }]);
    const results: { next: number }[] = [await one.result(), await other.result(), await named.result()];
    expect(results.map(({ next }) => next)).toEqual([9101, 9102, 9101]);
    const wrong = { ...add, payload: { amount: 'x' } };
    // @ts-expect-error the class types the payload
    await expect(runs.fanOut([wrong])).rejects.toMatchObject({ code: 'PAYLOAD_INVALID' });
    // @ts-expect-error the class types the payload
    expect(await runs.runMany([add, wrong, null])).toMatchObject({ accepted: 1, failures: [{ index: 1 }, { index: 2 }] });
    // @ts-expect-error each class has a payload of its own
    expect(await runs.runMany([add, { workflow: Tick, workspace: Space, payload: 'x', userId: 'u' }])).toMatchObject({ failed: 0 });
  });

  it('reports the ids of the runs of a batch, by item', async () => {
    const items = ['x', 9200, 9201].map((amount) => ({ workflow: 'Add', workspace: 'Space', payload: { amount }, userId: 'u' }));
    const { runIds = [] } = await runs.runMany(items, { keepIds: true });
    expect(runIds[0]).toBeUndefined();
    const started = runIds.slice(1).map((id = '') => runs.get({ workflow: Add, workspace: Space, id }));
    expect((await Promise.all(started)).map(({ workflow }) => workflow)).toEqual(['Add', 'Add']);
    expect(await runs.runMany(items)).not.toHaveProperty('runIds');
  });

  it('takes `timeout` as the wait for the result', async () => {
    await expect(runs.runAndWait(Wait, Space, {}, 'u', { timeout: '100ms' })).rejects.toMatchObject({ code: 'RESULT_TIMEOUT' });
    // @ts-expect-error the wait for the acknowledgement is `publishTimeout`
    await runs.run(Wait, Space, {}, 'u', { timeout: '5s' });
  });

  it('schedules, lists, replaces and cancels recurring runs', async () => {
    await expect(runs.schedule('s', '0 9 * *', Add, Space, { amount: 1 }, 'u')).rejects.toMatchObject({ code: 'SCHEDULE_INVALID' });
    // @ts-expect-error the class types the payload
    await expect(runs.schedule('s', { every: '1s' }, Add, Space, { amount: 'x' }, 'u')).rejects.toMatchObject({ code: 'PAYLOAD_INVALID' });
    await runs.schedule('s', { every: '1s' }, Add, Space, { amount: 7001 }, 'u');
    await until('it fired', () => seen.includes(7001));
    await runs.schedule('s', { every: '1s' }, Add, Space, { amount: 7002 }, 'u');
    await until('its successor fired', () => seen.includes(7002));
    expect((await runs.schedules.list({ workflow: 'Add' })).map(({ id, payload }) => [id, payload])).toEqual([['s', { amount: 7002 }]]);
    await runs.schedules.cancel({ workspace: 'Space', workflow: 'Add' }, 's');
    expect(await runs.schedules.list({ workflow: 'Add' })).toEqual([]);
  });

  it('runs what a class declares with @Schedule, and gives up what its code no longer declares', async () => {
    await until('it ticked', () => ticks > 0);
    const later = await rig.startApp([Add, TickDaily, Wait, LaterSpace]);
    await until('the schedules are those of the later code', async () => {
      const ids = (await runs.schedules.list({ workflow: 'Tick' })).map(({ id, timeZone }) => `${id} ${timeZone ?? ''}`);
      return ids.length === 1 && ids[0] === 'declared-daily Europe/Berlin';
    });
    await rig.stop(later);
  });

  it('a boot that fails has started nothing: no queued command, no event, no schedule', async () => {
    const started: string[] = [];
    class Recorder {
      run(): void {
        started.push(this.constructor.name);
      }
    }
    @Workflow()
    class Queued extends Recorder {}
    @Workflow({ on: [{ subject: 'there.is', userId: 'u' }] })
    class Listening extends Recorder {}
    @Workflow({ on: [{ subject: 'there.is.not', userId: 'u' }] })
    class Deaf extends Recorder {}
    @Workflow()
    @Schedule({ every: '1s' })
    class Timed extends Recorder {}
    @Workspace({ workflows: [Queued, Listening, Deaf, Timed] })
    class Failing {}

    const nats = { servers: rig.url, prefix: 'failing' };
    const queued = { workspace: 'Failing', workflow: 'Queued' };
    const producer = await startApp([], nats);
    const handle = await producer.get(RunService).run('Queued', 'Failing', {}, 'u');
    const nc = await rig.connect();
    const jsm = await nc.jetstreamManager();
    await jsm.streams.add({ name: 'THERE', subjects: ['there.is'] });
    await nc.jetstream().publish('there.is', '{}');

    await expect(startApp([Queued, Listening, Deaf, Timed, Failing], nats)).rejects.toMatchObject({
      code: 'BOOT_FAILED',
      message: expect.stringContaining('there.is.not'),
    });
    expect(started).toEqual([]);
    expect(await producer.get(RunService).schedules.list()).toEqual([]);
    expect(await producer.get(RunService).get(handle.id)).toMatchObject({ ...queued, status: 'queued' });
    await producer.close();
  });

  it('a boot names the payload of a @Schedule that its workflow would refuse each time', async () => {
    @Workflow({ payload: Amount })
    @Schedule({ every: '1s' })
    class Refusing {
      run(): void {}
    }
    @Workspace({ workflows: [Refusing] })
    class Wrong {}
    await expect(startApp([Refusing, Wrong], { servers: rig.url, prefix: 'wrong' })).rejects.toMatchObject({
      code: 'BOOT_FAILED',
      message: expect.stringMatching(/@Schedule of Refusing, default: .*amount/),
    });
  });
});

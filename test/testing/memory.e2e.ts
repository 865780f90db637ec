import {
  LoopstackModule,
  OnEvent,
  RunService,
  Schedule,
  Workflow,
  Workspace,
  type LoopstackOptions,
  type RunContext,
} from '@loopstack/core';
import { LoopstackHarness, LoopstackTestingModule, type LoopstackTestingOptions } from '@loopstack/testing';
import { NatsModule } from '@loopstack/nats';
import { Injectable, Module } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { jest } from '@jest/globals';

@Injectable()
class Seen {
  readonly texts: string[] = [];
}

@Workflow({ priorities: true, concurrency: 1, retry: { attempts: 3, delay: '10m', maxDelay: '1h' } })
class Task {
  constructor(private readonly seen: Seen) {}

  run({ name, failures = 0 }: { name: string; failures?: number }, { attempt }: RunContext): string {
    this.seen.texts.push(name);
    if (attempt <= failures) throw new Error('not yet');
    return name;
  }
}

@Workflow({ timeout: '10m', retry: { attempts: 1 } })
class Hang {
  constructor(private readonly seen: Seen) {}

  run(_: object, { signal }: RunContext): Promise<never> {
    signal.addEventListener('abort', () => this.seen.texts.push(`aborted ${(signal.reason as { code: string }).code}`));
    return new Promise(() => {});
  }
}

@Schedule({ every: '1h' }, { payload: { name: 'hourly' } })
@OnEvent('loopstack.dead.*.*', { map: () => ({ name: 'told of a dead letter' }), userId: 'watch' })
@Workflow()
class Watch {
  constructor(private readonly seen: Seen) {}

  run({ name }: { name: string }): void {
    this.seen.texts.push(name);
  }
}

@Workspace({ workflows: [Task, Hang, Watch] })
class Space {}

describe('the broker in memory', () => {
  const open: TestingModule[] = [];
  afterEach(async () => {
    jest.useRealTimers();
    await Promise.all(open.splice(0).map((module) => module.close()));
  });

  async function compiled(options: LoopstackTestingOptions = {}): Promise<TestingModule> {
    const module = await Test.createTestingModule({
      imports: [LoopstackTestingModule.forRoot(options)],
      providers: [Task, Hang, Watch, Space, Seen],
    }).compile();
    open.push(module);
    return module;
  }

  async function started(options: LoopstackTestingOptions = {}) {
    const module = await compiled(options);
    await module.init();
    return { module, runs: module.get(RunService), loopstack: module.get(LoopstackHarness), texts: module.get(Seen).texts };
  }

  it('starts with the first run where nothing else has started it', async () => {
    const module = await compiled();
    expect(await module.get(RunService).runAndWait(Task, Space, { name: 'lazy' }, 'u1')).toBe('lazy');
  });

  it('takes runs by their priority', async () => {
    const { runs, texts, loopstack } = await started();
    const priorities = ['low', 'normal', 'high'] as const;
    await runs.fanOut(
      priorities.map((priority) => ({
        workflow: 'Task',
        workspace: 'Space',
        userId: 'u1',
        payload: { name: priority },
        options: { priority },
      })),
    );
    await loopstack.settled();
    expect(texts).toEqual(['high', 'normal', 'low']);
  });

  it('brings each time in its order, however far it is moved ahead', async () => {
    const { runs, texts, loopstack } = await started();
    await runs.run(Task, Space, { name: 'in 90 minutes' }, 'u1', { delay: '90m' });
    const retried = await runs.run(Task, Space, { name: 'retried', failures: 2 }, 'u1');
    const before = loopstack.now.getTime();
    await loopstack.advance('3h');
    expect(loopstack.now.getTime() - before).toBeGreaterThanOrEqual(3 * 3_600_000);
    expect(await retried.result()).toBe('retried');
    expect(texts).toEqual(['retried', 'retried', 'retried', 'hourly', 'in 90 minutes', 'hourly', 'hourly']);
  });

  it('goes by the fake timers of Jest', async () => {
    const { runs, texts, module } = await started();
    jest.useFakeTimers();
    const run = await runs.run(Task, Space, { name: 'faked', failures: 1 }, 'u1', { delay: '1h' });
    await jest.advanceTimersByTimeAsync(3_600_000 - 1);
    expect(texts).not.toContain('faked');
    await jest.advanceTimersByTimeAsync(1);
    expect(await run.status()).toMatchObject({ status: 'retrying', attempt: 1 });
    await jest.advanceTimersByTimeAsync(3_600_000);
    expect(await run.result()).toBe('faked');
    jest.useRealTimers();
    await module.close();
  });

  it('ends an attempt that hangs when its time is over, by hand and by fake timers', async () => {
    const { runs, texts, loopstack } = await started();
    const first = await runs.run(Hang, Space, {}, 'u1');
    await loopstack.advance('10m');
    await expect(first.result()).rejects.toMatchObject({ code: 'RUN_FAILED', details: { error: { code: 'HANDLER_TIMEOUT' } } });
    jest.useFakeTimers();
    const second = await runs.run(Hang, Space, {}, 'u1');
    await jest.advanceTimersByTimeAsync(601_000);
    expect((await second.status()).status).toBe('failed');
    expect(texts.filter((text) => text.startsWith('aborted'))).toEqual(['aborted HANDLER_TIMEOUT', 'aborted HANDLER_TIMEOUT']);
  });

  it('starts workflows for dead letters, too', async () => {
    const { runs, texts, loopstack } = await started();
    const hanging = await runs.run(Hang, Space, {}, 'u1');
    await loopstack.advance('10m');
    await hanging.status();
    expect(texts).toContain('told of a dead letter');
  });

  it('says what is under way where it does not settle', async () => {
    const { runs, loopstack } = await started();
    await runs.run(Hang, Space, {}, 'u1');
    await expect(loopstack.settled({ timeout: '20ms' })).rejects.toThrow('not settled within 20 ms: a run of Space.Hang');
  });

  it('refuses more than it may hold, with the remedy', async () => {
    const { runs } = await started({ maxMessages: 5 });
    const start = (): Promise<unknown> => runs.run(Task, Space, { name: 'x' }, 'u1', { delay: 0 });
    const codes = await Promise.all(
      Array.from({ length: 6 }, () =>
        runs.run(Task, Space, { name: 'x' }, 'u1').then(
          () => 'stored',
          (error: { code: string }) => error.code,
        ),
      ),
    );
    expect(codes.filter((code) => code === 'stored').length).toBeLessThanOrEqual(5);
    await expect(start()).rejects.toThrow('make a testing module for each test');
  });

  it('aborts what executes when it is closed, and ends all waiting', async () => {
    const { module, runs, texts } = await started();
    const run = await runs.run(Hang, Space, {}, 'u1');
    const result = run.result().catch((error: { code: string }) => error.code);
    const delayed = (await runs.run(Task, Space, { name: 'never' }, 'u1', { delay: '1h' }))
      .result()
      .catch((error: { code: string }) => error.code);
    await module.close();
    expect([await result, await delayed]).toEqual(['CLOSED', 'CLOSED']);
    expect(texts).toEqual(['aborted CLOSED']);
    await expect(runs.run(Task, Space, { name: 'late' }, 'u1')).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('stands beside the module that the application imports itself', async () => {
    const options: LoopstackOptions = { defaults: { retry: { attempts: 1 } } };
    const module = await Test.createTestingModule({
      imports: [LoopstackModule.forRoot(options), LoopstackTestingModule.broker({ prefix: 'own' })],
      providers: [Task, Hang, Watch, Space, Seen],
    }).compile();
    open.push(module);
    await module.init();
    await module.get(LoopstackHarness).publish('own.run.Space.Watch', { payload: { name: 'raw' }, userId: 'u1' });
    await module.get(LoopstackHarness).settled();
    expect(module.get(Seen).texts).toEqual(['raw']);
    await expect(module.get(LoopstackHarness).publish('own.event.Space.Watch.x', {})).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  });

  it('takes the place of the module that connects the application', async () => {
    const nats = NatsModule.forRoot({ servers: 'nats://127.0.0.1:1' });
    @Module({ imports: [LoopstackModule.forRoot(), nats], providers: [Task, Hang, Watch, Space, Seen] })
    class App {}
    const module = await Test.createTestingModule({ imports: [App] })
      .overrideModule(nats)
      .useModule(LoopstackTestingModule.broker())
      .compile();
    open.push(module);
    expect(await module.get(RunService).runAndWait(Task, Space, { name: 'overridden' }, 'u1')).toBe('overridden');
  });

  it('accepts runs of workflows that live elsewhere', async () => {
    const module = await Test.createTestingModule({ imports: [LoopstackTestingModule.forRoot()] }).compile();
    open.push(module);
    const run = await module.get(RunService).run('Elsewhere', 'Other', { n: 1 }, 'u1');
    expect(await run.status()).toMatchObject({ status: 'queued' });
    expect(module.get(LoopstackHarness).runs()).toMatchObject([{ workflow: 'Elsewhere', payload: { n: 1 }, userId: 'u1' }]);
    await module.get(LoopstackHarness).settled();
  });
});

import { RunService, Workflow, Workspace } from '@loopstack/core';
import { LoopstackHarness, LoopstackTestingModule } from '@loopstack/testing';
import { loopstackMatchers, type LoopstackMatchers } from '@loopstack/testing/matchers';
import { Test, type TestingModule } from '@nestjs/testing';
import { expect } from '@jest/globals';

declare module 'expect' {
  interface Matchers<R extends void | Promise<void>> extends LoopstackMatchers<R> {}
}

expect.extend(loopstackMatchers);

@Workflow({ name: 'pay', retry: { attempts: 2, delay: '1h' } })
class Pay {
  run({ orderId }: { orderId: string; lines?: readonly object[] }): string {
    if (orderId === 'bad') throw new Error('no money');
    return orderId;
  }
}

@Workflow()
class Other {
  run(): void {}
}

@Workspace({ workflows: [Pay, Other] })
class Shop {}

describe('the matchers', () => {
  let module: TestingModule;
  let runs: RunService;
  let loopstack: LoopstackHarness;
  beforeEach(async () => {
    module = await Test.createTestingModule({ imports: [LoopstackTestingModule.forRoot()], providers: [Pay, Other, Shop] }).compile();
    await module.init();
    runs = module.get(RunService);
    loopstack = module.get(LoopstackHarness);
  });
  afterEach(() => module.close());

  const messageOf = (act: () => void): string => {
    try {
      act();
    } catch (error) {
      return (error as Error).message;
    }
    return 'passed';
  };

  it('find a run by its workflow and a part of its payload', async () => {
    await runs.run(Pay, Shop, { orderId: 'o-1', lines: [{ sku: 'a', n: 1 }] }, 'u1');
    await runs.run(Other, Shop, {} as never, 'u1', { delay: '1h' });
    expect(runs).toHaveStarted(Pay);
    expect(loopstack).toHaveStarted('pay', { orderId: 'o-1' });
    expect(runs).toHaveStarted(Pay, { orderId: expect.stringMatching(/^o-/), lines: [{ sku: 'a', n: 1 }] });
    expect(runs).toHaveStarted(Other);
    expect(runs).not.toHaveStarted(Pay, { orderId: 'o-2' });
    expect(runs).not.toHaveStarted(Pay, { lines: [{ sku: 'a' }] });
    expect(runs).not.toHaveStarted(Pay, { missing: undefined });
  });

  it('say what was started instead', async () => {
    expect(messageOf(() => expect(runs).toHaveStarted(Pay))).toBe('expected to find a run of pay; there is no run of it');
    await runs.runAndWait(Pay, Shop, { orderId: 'o-1' }, 'u1');
    await runs.run(Other, Shop, {} as never, 'u1');
    expect(messageOf(() => expect(runs).toHaveStarted(Pay, { orderId: 'o-2' }))).toBe(
      'expected to find a run of pay with {"orderId":"o-2"}; there are runs of pay with:\n  {"orderId":"o-1"} (succeeded, on behalf of u1)\nother workflows that were started: Other',
    );
    expect(messageOf(() => expect(runs).not.toHaveStarted(Pay))).toContain('expected not to find a run of pay');
  });

  it('know a dead letter by its code', async () => {
    const run = await runs.run(Pay, Shop, { orderId: 'bad' }, 'u1');
    await loopstack.settled();
    expect(run).not.toBeDeadLettered();
    expect(messageOf(() => expect(run).toBeDeadLettered('HANDLER_FAILED'))).toBe(
      `expected run ${run.id} of pay to be a dead letter with HANDLER_FAILED; it is retrying; wait for it first: await loopstack.settled(), or loopstack.advance(…) to its next attempt`,
    );
    await loopstack.advance('2h');
    expect(run).toBeDeadLettered();
    expect(run).toBeDeadLettered('HANDLER_FAILED');
    expect(run).not.toBeDeadLettered('HANDLER_TIMEOUT');
    expect(messageOf(() => expect(run).toBeDeadLettered('HANDLER_TIMEOUT'))).toContain(
      'it is one with HANDLER_FAILED: pay failed: Error: no money',
    );
  });

  it('refuse what is none of theirs', () => {
    expect(() => expect({}).toHaveStarted(Pay)).toThrow(
      'takes RunService or LoopstackHarness of an application with LoopstackTestingModule',
    );
    expect(() => expect('run').toBeDeadLettered()).toThrow('takes the handle of a run');
  });
});

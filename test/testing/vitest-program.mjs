import { NonRetryableError, RunService, Workflow, Workspace } from '@loopstack/core';
import { LoopstackHarness, LoopstackTestingModule, runWorkflow } from '@loopstack/testing';
import { loopstackMatchers } from '@loopstack/testing/matchers';
import { Test } from '@nestjs/testing';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

expect.extend(loopstackMatchers);

class Process {
  run({ orderId, failures = 0 }, { attempt }) {
    if (orderId === 'bad') throw new NonRetryableError('no');
    if (attempt <= failures) throw new Error('not yet');
    return attempt;
  }
}
Workflow({ retry: { attempts: 3, delay: '1m', jitter: 0 } })(Process);

class Orders {}
Workspace({ workflows: [Process] })(Orders);

let module;
beforeEach(async () => {
  module = await Test.createTestingModule({ imports: [LoopstackTestingModule.forRoot()], providers: [Process, Orders] }).compile();
  await module.init();
});
afterEach(async () => {
  vi.useRealTimers();
  await module.close();
});

test('the clock is moved by hand', async () => {
  const run = await module.get(RunService).run(Process, Orders, { orderId: 'o-1', failures: 1 }, 'u1', { delay: '1h' });
  await module.get(LoopstackHarness).advance('61m');
  expect(await run.result()).toBe(2);
  expect(module.get(RunService)).toHaveStarted(Process, { orderId: 'o-1' });
});

test('the clock goes by fake timers', async () => {
  vi.useFakeTimers();
  const run = await module.get(RunService).run(Process, Orders, { orderId: 'o-1', failures: 2 }, 'u1', { delay: '1h' });
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect((await run.status()).status).toBe('retrying');
  await vi.advanceTimersByTimeAsync(180_000);
  expect(await run.result()).toBe(3);
});

test('a failure is a dead letter, and an error of the workflow alone', async () => {
  const run = await module.get(RunService).run(Process, Orders, { orderId: 'bad' }, 'u1');
  await module.get(LoopstackHarness).settled();
  expect(run).toBeDeadLettered('HANDLER_FAILED');
  await expect(runWorkflow(Process, { orderId: 'bad' })).rejects.toBeInstanceOf(NonRetryableError);
});

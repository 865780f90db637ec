import { expect, jest } from '@jest/globals';
import { RunService } from '@loopstack/core';
import { LoopstackHarness, LoopstackTestingModule, runWorkflow } from '@loopstack/testing';
import { loopstackMatchers, type LoopstackMatchers } from '@loopstack/testing/matchers';
import { Test, type TestingModule } from '@nestjs/testing';
import { Orders, Payments, ProcessOrder, Receipts, SendReceipt } from './orders.js';

expect.extend(loopstackMatchers);

declare module 'expect' {
  interface Matchers<R extends void | Promise<void>> extends LoopstackMatchers<R> {}
}

describe('an order', () => {
  const charge = jest.fn<Payments['charge']>();
  let module: TestingModule;
  let runs: RunService;
  let loopstack: LoopstackHarness;

  beforeEach(async () => {
    charge.mockReset().mockResolvedValue('r-1');
    module = await Test.createTestingModule({
      imports: [LoopstackTestingModule.forRoot({ service: 'orders' })],
      providers: [ProcessOrder, SendReceipt, Orders, Receipts, { provide: Payments, useValue: { charge } }],
    }).compile();
    await module.init();
    runs = module.get(RunService);
    loopstack = module.get(LoopstackHarness);
  });
  afterEach(() => module.close());

  it('is charged again after a minute, then its receipt is sent', async () => {
    charge.mockRejectedValueOnce(new Error('the bank is away'));
    const run = await runs.run(ProcessOrder, Orders, { orderId: 'o-1', amount: 5 }, 'u1');
    await loopstack.advance('1m');
    expect(await run.result()).toEqual({ receipt: 'r-1', attempt: 2 });
    await loopstack.settled();
    expect(runs).toHaveStarted(SendReceipt, { receipt: 'r-1' });
  });

  it('that cannot be charged is a dead letter, and is processed when it is redriven', async () => {
    charge.mockRejectedValue(new Error('the bank is away'));
    const run = await runs.run(ProcessOrder, Orders, { orderId: 'o-1', amount: 5 }, 'u1');
    await loopstack.advance('5m');
    expect(run).toBeDeadLettered('HANDLER_FAILED');

    charge.mockResolvedValue('r-2');
    await loopstack.deadLetters.redrive({ runId: run.id });
    await loopstack.settled();
    expect(await run.result()).toEqual({ receipt: 'r-2', attempt: 1 });
  });

  it('is processed by the workflow alone', async () => {
    const providers = [{ provide: Payments, useValue: { charge } }];
    expect(await runWorkflow(ProcessOrder, { orderId: 'o-1', amount: 5 }, { providers, attempt: 3 })).toEqual({
      receipt: 'r-1',
      attempt: 3,
    });
    await expect(runWorkflow(ProcessOrder, { orderId: 'o-1', amount: 0 }, { providers })).rejects.toMatchObject({
      code: 'PAYLOAD_INVALID',
    });
  });
});

import { expect, jest } from '@jest/globals';
import { RunService } from '@loopstack/core';
import { LoopstackTestingModule } from '@loopstack/testing';
import { Test, type TestingModule } from '@nestjs/testing';
import { Orders, Payments, ProcessOrder, SendReceipt } from './orders.js';

describe('a delayed order', () => {
  let module: TestingModule;
  let runs: RunService;

  beforeEach(async () => {
    module = await Test.createTestingModule({
      imports: [LoopstackTestingModule.forRoot()],
      providers: [ProcessOrder, SendReceipt, Orders, Payments],
    }).compile();
    await module.init();
    runs = module.get(RunService);
  });
  afterEach(() => module.close());

  it('is processed an hour later', async () => {
    jest.useFakeTimers();
    const run = await runs.run(ProcessOrder, Orders, { orderId: 'o-1', amount: 5 }, 'u1', { delay: '1h' });
    await jest.advanceTimersByTimeAsync(3_600_000);
    expect(await run.result()).toEqual({ receipt: 'charged 5', attempt: 1 });
    jest.useRealTimers();
  });
});

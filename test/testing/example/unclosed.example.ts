import { RunService } from '@loopstack/core';
import { LoopstackHarness, LoopstackTestingModule } from '@loopstack/testing';
import { Test } from '@nestjs/testing';
import { Orders, Payments, ProcessOrder, SendReceipt } from './orders.js';

// A module that is never closed, with a delayed run and one that has just been done: nothing of it may keep Jest waiting.

describe('a module that is not closed', () => {
  it('keeps nothing open', async () => {
    const module = await Test.createTestingModule({
      imports: [LoopstackTestingModule.forRoot()],
      providers: [ProcessOrder, SendReceipt, Orders, Payments],
    }).compile();
    await module.init();
    const runs = module.get(RunService);
    await runs.run(ProcessOrder, Orders, { orderId: 'later', amount: 1 }, 'u1', { delay: '1h' });
    await runs.runAndWait(ProcessOrder, Orders, { orderId: 'now', amount: 1 }, 'u1');
    await module.get(LoopstackHarness).advance('30m');
    expect(module.get(LoopstackHarness).runs()).toMatchObject([{ status: 'succeeded' }, { status: 'queued' }]);
  });
});

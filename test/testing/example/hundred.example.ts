import { RunService } from '@loopstack/core';
import { LoopstackTestingModule } from '@loopstack/testing';
import { Test, type TestingModule } from '@nestjs/testing';
import { Orders, Payments, ProcessOrder, SendReceipt } from './orders.js';

// A hundred tests with a module and a run each, as a figure for docs/testing.md.

describe('a hundred tests of one run', () => {
  const began = performance.now();
  const before = process.cpuUsage();
  let module: TestingModule;

  beforeEach(async () => {
    module = await Test.createTestingModule({
      imports: [LoopstackTestingModule.forRoot()],
      providers: [ProcessOrder, SendReceipt, Orders, Payments],
    }).compile();
    await module.init();
  });
  afterEach(() => module.close());
  afterAll(() => {
    const { user, system } = process.cpuUsage(before);
    process.stderr.write(`100 tests took ${Math.round(performance.now() - began)} ms, ${Math.round((user + system) / 1000)} ms of CPU\n`);
  });

  it.each(Array.from({ length: 100 }, (_, amount) => amount + 1))('charges %d', async (amount) => {
    const result = await module.get(RunService).runAndWait(ProcessOrder, Orders, { orderId: 'o-1', amount }, 'u1');
    expect(result.receipt).toBe(`charged ${amount}`);
  });
});

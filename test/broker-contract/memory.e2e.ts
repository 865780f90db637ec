import { Test } from '@nestjs/testing';
import { LoopstackHarness, LoopstackTestingModule } from '@loopstack/testing';
import { LOOPSTACK, PROVIDERS } from './application.js';
import { brokerContract } from './suite.js';

brokerContract('the broker in memory', async () => {
  const module = await Test.createTestingModule({ imports: [LoopstackTestingModule.forRoot(LOOPSTACK)], providers: PROVIDERS }).compile();
  await module.init();
  const loopstack = module.get(LoopstackHarness);
  return {
    get: (type) => module.get(type),
    deadLetters: loopstack.deadLetters,
    now: () => loopstack.now,
    pass: (by) => loopstack.advance(by),
    publish: (subject, body, headers) => loopstack.publish(subject, body, headers),
    close: () => module.close(),
  };
});

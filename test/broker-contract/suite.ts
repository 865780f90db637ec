import { Contract, type BrokerUnderTest } from './contract.js';
import { eventCases } from './event-cases.js';
import { refusalCases } from './refusal-cases.js';
import { runCases } from './run-cases.js';
import { timeCases } from './time-cases.js';

/** What every broker behind the core's port does: the same cases, with the same expectations. */
export function brokerContract(name: string, open: () => Promise<BrokerUnderTest>): void {
  describe(name, () => {
    let broker: BrokerUnderTest;
    beforeAll(async () => {
      broker = await open();
    });
    afterAll(() => broker?.close());
    const contract = new Contract(() => broker);
    runCases(contract);
    timeCases(contract);
    eventCases(contract);
    refusalCases(contract);
  });
}

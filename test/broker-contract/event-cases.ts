import { until } from '../until.js';
import { Collect, Confirm, Refund, Refusing, Sell, Ship, Shop, unmapped } from './application.js';
import type { Contract } from './contract.js';

export function eventCases(contract: Contract): void {
  const started = (workflow: string, wanted: (result: unknown) => boolean) =>
    until(`a run of ${workflow} has succeeded`, async () =>
      (await contract.runs.list({ workflow, status: 'succeeded' })).find(({ result }) => wanted(result)),
    );

  describe('an event', () => {
    it('starts the workflow that listens to it', async () => {
      await contract.broker.publish('shop.o-7.paid', { amount: 5, userId: 'payer' });
      const run = await started(Collect.name, (result) => result === 'payer o-7 5');
      expect((await contract.runs.get(run.id)).userId).toBe('payer');
    });

    it('that is not wanted starts nothing', async () => {
      await contract.broker.publish('shop.ignored.paid', { amount: 5, userId: 'payer', isTest: true });
      await contract.broker.publish('shop.o-8.paid', { amount: 6, userId: 'payer' });
      await started(Collect.name, (result) => result === 'payer o-8 6');
      const all = await contract.runs.list({ workflow: Collect.name });
      expect(all.filter(({ result }) => typeof result === 'string' && result.includes('ignored'))).toEqual([]);
    });

    it.each([
      ['a payload that is refused', 'shop.bad-1.paid', { amount: 0, userId: 'payer' }, 'PAYLOAD_INVALID'],
      ['no user', 'shop.bad-2.paid', { amount: 1 }, 'USER_MISSING'],
      ['no JSON', 'shop.bad-3.paid', 'no json', 'BODY_NOT_JSON'],
    ])('with %s is a dead letter of its binding', async (_, subject, body, code) => {
      await contract.broker.publish(subject, body);
      const letter = await until('there is a letter', async () =>
        (await contract.broker.deadLetters.list({ workflow: Collect.name })).find((one) => one.subject === subject),
      );
      expect(letter).toMatchObject({ reason: 'invalid', code, attempts: 1, binding: expect.stringContaining('Collect') });
      const report = await contract.broker.deadLetters.redrive(letter.deadSequence);
      expect(report.failed).toEqual([expect.objectContaining({ deadSequence: letter.deadSequence, code: 'EVENT_INVALID' })]);
      await contract.broker.deadLetters.discard(letter.deadSequence);
    });

    it('is on behalf of the user that its binding names', async () => {
      await contract.broker.publish('shop.refund', { id: 'r-1', amount: 1 });
      const run = await started(Refund.name, (result) => result === 'r-1');
      expect(run.userId).toBe('till');
    });
  });

  it('an event is used again when its dead letter is redriven', async () => {
    unmapped.add('r-2');
    await contract.broker.publish('shop.refund', { id: 'r-2', amount: 1 });
    const letter = await until('there is a letter', async () => (await contract.broker.deadLetters.list({ workflow: Refund.name }))[0]);
    expect(letter).toMatchObject({ code: 'EVENT_INVALID', reason: 'invalid', subject: 'shop.refund', stream: 'LOOPSTACK_INBOUND' });
    unmapped.clear();
    expect(await contract.broker.deadLetters.redrive({ workflow: Refund.name })).toEqual({ done: [letter.deadSequence], failed: [] });
    await started(Refund.name, (result) => result === 'r-2');
    expect(await contract.broker.deadLetters.list({ workflow: Refund.name })).toEqual([]);
  });

  describe('a chain', () => {
    it('starts the next workflow with the first as its cause', async () => {
      const run = await contract.runs.run(Sell, Shop, { order: 'c-1' }, 'buyer', { correlationId: 'sale' });
      await run.result();
      const next = await started(Ship.name, (result) => (result as { shipped?: string }).shipped === 'c-1');
      expect(next.result).toEqual({ shipped: 'c-1', causeDepth: 1, correlationId: 'sale' });
      expect(next.userId).toBe('buyer');
    });

    it('starts another one for a failure', async () => {
      const run = await contract.runs.run(Sell, Shop, { order: 'fail' }, 'loser');
      expect(await contract.code(run.result())).toBe('RUN_FAILED');
      await started('Apologize', (result) => result === 'loser: Sell failed: Error: sold out');
    });

    it('whose next payload is refused leaves a dead letter', async () => {
      const run = await contract.runs.run(Sell, Shop, { order: 'bad' }, 'buyer');
      await run.result();
      const letter = await until('there is a letter', async () => (await contract.broker.deadLetters.list({ workflow: Ship.name }))[0]);
      expect(letter).toMatchObject({ code: 'PAYLOAD_INVALID', binding: expect.stringContaining('then'), stream: 'LOOPSTACK_EVENTS' });
    });

    it('whose condition is false starts nothing', async () => {
      const run = await contract.runs.run(Sell, Shop, { order: 'none' }, 'buyer');
      await run.result();
      const other = await contract.runs.run(Sell, Shop, { order: 'c-2' }, 'buyer');
      await other.result();
      await started(Ship.name, (result) => (result as { shipped?: string }).shipped === 'c-2');
      const shipped = (await contract.runs.list({ workflow: Ship.name })).map(({ result }) => (result as { shipped?: string }).shipped);
      expect(shipped).not.toContain('none');
    });
  });

  describe('a method with @OnRun', () => {
    it('is told of the outcome, durable and live', async () => {
      const run = await contract.runs.run(Confirm, Shop, { id: 'told', amount: 1 }, 'u1');
      await run.result();
      await contract.told(`durable ${run.id} succeeded told`);
      await contract.told(`live ${run.id}`);
    });

    it('is called again after it has failed', async () => {
      const run = await contract.runs.run(Refusing, Shop, {}, 'u1');
      expect(await contract.code(run.result())).toBe('RUN_FAILED');
      expect(await contract.letterOf(run.id)).toMatchObject({ attempts: 1 });
      await contract.broker.pass('1s');
      await contract.told(`retried ${run.id} HANDLER_FAILED`);
    });
  });
}

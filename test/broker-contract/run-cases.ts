import type { Contract } from './contract.js';
import { Broken, Confirm, Deeper, Flaky, Hold, Queue, Secret, Shop, Silent, Steps } from './application.js';
import { until } from '../until.js';

export function runCases(contract: Contract): void {
  const order = { id: 'o-1', amount: 2 };

  describe('a run', () => {
    it('gives its result to the one who started it', async () => {
      const run = await contract.runs.run(Confirm, Shop, order, 'u1', { headers: { 'X-Source': 'web' } });
      expect(await run.result()).toEqual({ ...order, userId: 'u1', source: 'web', isOwn: true, causeDepth: 0 });
      expect(run).toMatchObject({ workspace: 'Shop', workflow: 'Confirm', stream: 'LOOPSTACK_RUNS', duplicate: false });
      expect(await contract.history(run)).toEqual(['succeeded']);
      const info = await run.status();
      expect(info).toMatchObject({ id: run.id, status: 'succeeded', attempt: 1, userId: 'u1', sequence: run.sequence });
      expect(Date.parse(info.queuedAt ?? '')).toBeLessThanOrEqual(Date.parse(info.updatedAt ?? ''));
    });

    it('records its start and progress where its workflow says so', async () => {
      const run = await contract.runs.run(Steps, Shop, { steps: 2 }, 'u1');
      const events = [];
      for await (const { type, progress } of run.events()) events.push(progress === undefined ? type : [type, progress]);
      expect(events).toEqual(['started', ['progress', { step: 1 }], ['progress', { step: 2 }], 'succeeded']);
    });

    it('leaves nothing behind where nothing is recorded', async () => {
      const run = await contract.runs.run(Silent, Shop, {}, 'u1');
      await contract.told(`silent ${run.id}`);
      expect(await until('it is forgotten', async () => (await contract.code(run.status())) === 'RUN_UNKNOWN')).toBe(true);
    });

    it('is made again after its delay until it succeeds', async () => {
      const run = await contract.runs.run(Flaky, Shop, { failures: 2 }, 'u1');
      await until('it waits for its second attempt', async () => (await run.status()).status === 'retrying');
      expect(await run.status()).toMatchObject({ attempt: 1, error: { code: 'HANDLER_FAILED', name: 'Error' } });
      await contract.broker.pass('1s');
      await until('its second attempt has failed', async () => (await run.status()).attempt === 2);
      await contract.broker.pass('2s');
      expect(await run.result()).toBe(3);
      expect(await contract.history(run)).toEqual(['retrying', 'started', 'retrying', 'started', 'succeeded']);
    });

    it('becomes a dead letter with its code, and is the same run when it is redriven', async () => {
      const run = await contract.runs.run(Broken, Shop, { key: 'redriven' }, 'u1');
      await expect(run.result()).rejects.toMatchObject({
        code: 'RUN_FAILED',
        details: { error: { code: 'HANDLER_FAILED', name: 'TypeError' } },
      });
      const letter = await contract.letterOf(run.id);
      expect(letter).toMatchObject({
        workspace: 'Shop',
        workflow: 'Broken',
        reason: 'failed',
        code: 'HANDLER_FAILED',
        attempts: 1,
        userId: 'u1',
        subject: 'loopstack.run.Shop.Broken',
        sequence: run.sequence,
        redriven: 0,
      });
      expect(letter.message).toContain('TypeError: boom');
      const { body } = await contract.broker.deadLetters.inspect(letter.deadSequence);
      expect(JSON.parse(Buffer.from(body).toString())).toEqual({ payload: { key: 'redriven' }, userId: 'u1' });

      Broken.mended.add('redriven');
      expect(await contract.broker.deadLetters.redrive(letter.deadSequence)).toEqual({ done: [letter.deadSequence], failed: [] });
      expect(await until('it has succeeded', async () => (await run.status()).status === 'succeeded' && run.result())).toBe('mended');
      expect(await contract.history(run)).toEqual(['started', 'failed', 'queued', 'started', 'succeeded']);
      expect(await contract.broker.deadLetters.list({ runId: run.id })).toEqual([]);
      expect(await contract.broker.deadLetters.redrive(letter.deadSequence)).toMatchObject({ failed: [{ code: 'DEAD_LETTER_UNKNOWN' }] });
    });

    it('that failed again after a redrive has a letter that counts it', async () => {
      const run = await contract.runs.run(Broken, Shop, { key: 'again' }, 'u1');
      const first = await contract.letterOf(run.id);
      await contract.broker.deadLetters.redrive({ runId: run.id, workspace: 'Shop', workflow: 'Broken' });
      const second = await until('there is another letter', async () =>
        (await contract.broker.deadLetters.list({ runId: run.id })).find(({ deadSequence }) => deadSequence !== first.deadSequence),
      );
      expect(second.redriven).toBe(1);
      expect(await contract.broker.deadLetters.discard(second.deadSequence)).toEqual({ done: [second.deadSequence], failed: [] });
    });

    it('keeps what is redacted out of its dead letter, and is redriven with it', async () => {
      const run = await contract.runs.run(Secret, Shop, { card: '4111-1111', order: 'o-1' }, 'u1');
      const letter = await contract.letterOf(run.id);
      expect(letter.message).toBe('Secret failed: Error: card [redacted] was declined');
      const { body } = await contract.broker.deadLetters.inspect(letter.deadSequence);
      expect(JSON.parse(Buffer.from(body).toString())).toEqual({ payload: { card: '[redacted]', order: 'o-1' }, userId: 'u1' });
      await contract.broker.deadLetters.redrive(letter.deadSequence);
      const second = await until('there is another letter', async () =>
        (await contract.broker.deadLetters.list({ runId: run.id })).find(({ redriven }) => redriven === 1),
      );
      expect(second.message).toBe(letter.message);
    });

    it('starts others with itself as their cause, down to the limit', async () => {
      const run = await contract.runs.run(Deeper, Shop, { until: 3 }, 'u1', { correlationId: 'deep' });
      expect(await run.result()).toBe(0);
      const deepest = await until('the deepest one has ended', async () =>
        (await contract.runs.list({ workflow: 'Deeper', status: 'succeeded' })).find(({ result }) => result === 3),
      );
      expect(deepest.userId).toBe('u1');
    });

    it('that is known by its id alone is found', async () => {
      const run = await contract.runs.run(Confirm, Shop, order, 'u1');
      await run.result();
      expect(await contract.runs.get(run.id)).toMatchObject({ workspace: 'Shop', workflow: 'Confirm', status: 'succeeded' });
    });

    it('is listed, the one that changed last first', async () => {
      const first = await contract.runs.run(Steps, Shop, { steps: 0 }, 'u1');
      await first.result();
      const second = await contract.runs.run(Steps, Shop, { steps: 0 }, 'u2');
      await second.result();
      const listed = await contract.runs.list({ workspace: 'Shop', workflow: 'Steps', status: ['succeeded'], limit: 2 });
      expect(listed.map(({ id }) => id)).toEqual([second.id, first.id]);
      expect(await contract.runs.list({ workflow: 'Steps', status: 'failed' })).toEqual([]);
    });

    it('is listed by its user and the time of its last change', async () => {
      const first = await contract.runs.run(Steps, Shop, { steps: 0 }, 'u3');
      await first.result();
      const between = contract.broker.now();
      await contract.broker.pass('1s');
      await until('time has passed', () => contract.broker.now() > between);
      const second = await contract.runs.run(Steps, Shop, { steps: 0 }, 'u3');
      await second.result();
      const ids = async (filter: object): Promise<readonly string[]> =>
        (await contract.runs.list({ userId: 'u3', ...filter })).map(({ id }) => id);
      expect(await ids({})).toEqual([second.id, first.id]);
      expect(await ids({ until: between })).toEqual([first.id]);
      expect(await ids({ since: new Date(between.getTime() + 1) })).toEqual([second.id]);
      expect(await ids({ userId: 'u' })).toEqual([]);
    });
  });

  describe('a cancel', () => {
    it('ends a run that executes, and one that waits behind it', async () => {
      const running = await contract.runs.run(Hold, Shop, {}, 'u1');
      await contract.begun(running);
      const queued = await contract.runs.run(Hold, Shop, {}, 'u1');
      expect(await contract.runs.cancel(queued)).toMatchObject({ id: queued.id, status: 'canceled', attempt: 0 });
      expect(await running.cancel()).toMatchObject({ status: 'canceled' });
      expect([await contract.code(queued.result()), await contract.code(running.result())]).toEqual(['RUN_CANCELED', 'RUN_CANCELED']);
      await until('its signal is aborted', () => contract.journal.aborted.get(running.id) === 'RUN_CANCELED');
      const next = await contract.runs.run(Hold, Shop, {}, 'u1');
      await contract.begun(next);
      contract.journal.open(next.id);
      expect(await next.result()).toBe(1);
      expect(contract.journal.begun).not.toContain(queued.id);
    });

    it('is refused for a run that has ended, and repeated for one that is canceled', async () => {
      const run = await contract.runs.run(Confirm, Shop, order, 'u1');
      await run.result();
      expect(await contract.code(run.cancel())).toBe('RUN_FINISHED');
      const delayed = await contract.runs.run(Confirm, Shop, order, 'u1', { delay: '1h' });
      await delayed.cancel();
      expect(await delayed.cancel()).toMatchObject({ status: 'canceled' });
      expect(await contract.code(contract.runs.cancel({ workspace: Shop, workflow: Confirm, id: 'unknown' }))).toBe('RUN_UNKNOWN');
    });
  });

  describe('a key', () => {
    it('starts one run, and stands for one payload and user', async () => {
      const options = { idempotencyKey: 'k-1' };
      const first = await contract.runs.run(Confirm, Shop, order, 'u1', options);
      await first.result();
      const second = await contract.runs.run(Confirm, Shop, { amount: 2, id: 'o-1' }, 'u1', options);
      expect([second.id, second.duplicate, second.sequence]).toEqual([first.id, true, first.sequence]);
      expect(await second.result()).toMatchObject({ id: 'o-1' });
      const conflict = contract.runs.run(Confirm, Shop, { ...order, amount: 3 }, 'u1', options);
      await expect(conflict).rejects.toMatchObject({ code: 'KEY_CONFLICT', details: { what: 'payload' } });
      await expect(contract.runs.run(Confirm, Shop, order, 'u2', options)).rejects.toMatchObject({ details: { what: 'user' } });
      expect(await contract.history(first)).toEqual(['queued', 'succeeded']);
    });
  });

  describe('many runs', () => {
    const item = { workflow: 'Confirm', workspace: 'Shop', userId: 'u1' };

    it('of an all-or-nothing batch are all started, or none', async () => {
      const handles = await contract.runs.fanOut([1, 2, 3].map((amount) => ({ ...item, payload: { id: 'f', amount } })));
      expect(await Promise.all(handles.map((run) => run.result()))).toMatchObject([{ amount: 1 }, { amount: 2 }, { amount: 3 }]);
      const invalid = [
        { ...item, payload: { id: 'f', amount: 1 } },
        { ...item, payload: { id: 'f', amount: 0 } },
      ];
      expect(await contract.code(contract.runs.fanOut(invalid))).toBe('PAYLOAD_INVALID');
      const keyed = [{ ...item, payload: { id: 'f', amount: 1 }, options: { idempotencyKey: 'k' } }];
      expect(await contract.code(contract.runs.fanOut(keyed))).toBe('OPTION_INVALID');
      expect(await contract.code(contract.runs.fanOut([]))).toBe('BATCH_TOO_LARGE');
    });

    it('of a list are started but for those that are refused', async () => {
      const amounts = [1, 0, 2, -1];
      const started: string[] = [];
      const report = await contract.runs.runMany(
        amounts.map((amount) => ({ ...item, payload: { id: `m-${amount}`, amount } })),
        { onAccepted: (run) => started.push(run.id) },
      );
      expect(report).toMatchObject({ accepted: 2, duplicates: 0, failed: 2 });
      expect(report.failures.map(({ index, error }) => [index, error.code])).toEqual([
        [1, 'PAYLOAD_INVALID'],
        [3, 'PAYLOAD_INVALID'],
      ]);
      expect(started).toHaveLength(2);
    });

    it('are run whatever their priority', async () => {
      const priorities = ['low', 'normal', 'high'] as const;
      const runs = await Promise.all(priorities.map((priority) => contract.runs.run(Queue, Shop, { name: priority }, 'u1', { priority })));
      expect(await Promise.all(runs.map((run) => run.result()))).toEqual(priorities);
    });
  });
}

import type { Recurrence } from '@loopstack/shared';
import { until } from '../until.js';
import { Confirm, Endless, Hold, Nightly, Patient, Shop } from './application.js';
import type { Contract } from './contract.js';

export function timeCases(contract: Contract): void {
  const order = { id: 'later', amount: 1 };

  describe('time', () => {
    it('starts a delayed run when it is due, and not before', async () => {
      const dueMs = contract.broker.now().getTime() + 2000;
      const run = await contract.runs.run(Confirm, Shop, order, 'u1', { delay: '2s' });
      expect([run.stream, run.sequence]).toEqual(['LOOPSTACK_SCHEDULES', 0]);
      expect(await run.status()).toMatchObject({ status: 'queued', attempt: 0, userId: 'u1' });
      await contract.broker.pass('2s');
      await run.result();
      expect(Date.parse((await run.status()).updatedAt ?? '')).toBeGreaterThanOrEqual(dueMs);
    });

    it('starts a run of the past at once, under its key', async () => {
      const options = { at: new Date(contract.broker.now().getTime() - 60_000), idempotencyKey: 'past' };
      const run = await contract.runs.run(Confirm, Shop, order, 'u1', options);
      await contract.broker.pass('1s');
      expect(await run.result()).toMatchObject({ id: 'later' });
      expect((await contract.runs.run(Confirm, Shop, order, 'u1', options)).duplicate).toBe(true);
    });

    it('keeps a delayed run that is canceled from starting', async () => {
      const run = await contract.runs.run(Confirm, Shop, order, 'u1', { delay: '1s' });
      expect(await run.cancel()).toMatchObject({ status: 'canceled' });
      const later = await contract.runs.run(Confirm, Shop, order, 'u1', { delay: '1s' });
      await contract.broker.pass('1s');
      await later.result();
      expect(await contract.history(run)).toEqual(['canceled']);
    });

    it('ends a run that waits longer than its deadline', async () => {
      const first = await contract.runs.run(Hold, Shop, {}, 'u1');
      await contract.begun(first);
      const deadlineMs = contract.broker.now().getTime() + 500;
      const late = await contract.runs.run(Hold, Shop, {}, 'u1', { expiresIn: '100ms' });
      await contract.broker.pass('500ms');
      await until('the deadline is over', () => contract.broker.now().getTime() >= deadlineMs);
      contract.journal.open(first.id);
      expect(await contract.code(late.result())).toBe('RUN_EXPIRED');
      expect(await contract.history(late)).toEqual(['expired']);
    });

    it('ends an attempt that takes too long', async () => {
      const run = await contract.runs.run(Endless, Shop, {}, 'u1');
      await contract.begun(run);
      await contract.broker.pass('1s');
      expect(await contract.code(run.result())).toBe('RUN_FAILED');
      expect(await contract.letterOf(run.id)).toMatchObject({ reason: 'timeout', code: 'HANDLER_TIMEOUT', attempts: 1 });
      expect(contract.journal.aborted.get(run.id)).toBe('HANDLER_TIMEOUT');
      expect(await contract.history(run)).toEqual(['started', 'failed']);
    });

    it('lets a run that waits for its next attempt be canceled', async () => {
      const run = await contract.runs.run(Patient, Shop, {}, 'u1');
      const waiting = await until('it waits', async () => {
        const info = await run.status();
        return info.status === 'retrying' ? info : undefined;
      });
      const waitMs = Date.parse(waiting.nextAttemptAt ?? '') - Date.parse(waiting.updatedAt ?? '');
      expect(Math.abs(waitMs - 300_000)).toBeLessThanOrEqual(31_000);
      await run.cancel();
      expect(await contract.code(run.result())).toBe('RUN_CANCELED');
      expect(await contract.history(run)).toEqual(['retrying', 'canceled']);
    });

    it('ends the waiting for a result, not the run', async () => {
      const run = await contract.runs.run(Confirm, Shop, order, 'u1', { delay: '1h' });
      expect(await contract.code(run.result({ timeout: '50ms' }))).toBe('RESULT_TIMEOUT');
      await expect(run.result({ signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
      await run.cancel();
    });
  });

  describe('a schedule', () => {
    const startedBy = (userId: string) => async () =>
      (await contract.runs.list({ workflow: 'Confirm', status: 'succeeded' })).filter((run) => run.userId === userId);

    it.each<[string, Recurrence]>([
      ['a period', { every: '1s' }],
      ['a cron expression', '* * * * * *'],
    ])('of %s starts runs until it is canceled', async (name, recurrence) => {
      const user = `by ${name}`;
      const [id] = name.split(' ').slice(-1) as [string];
      const made = await contract.runs.schedule(id, recurrence, Confirm, Shop, order, user);
      expect(made).toMatchObject({ id, workspace: 'Shop', workflow: 'Confirm', payload: order, userId: user, priority: 'normal' });
      expect(await contract.runs.schedule(id, recurrence, Confirm, Shop, order, user)).toEqual(made);
      expect(await contract.runs.schedules.list({ workflow: 'Confirm' })).toEqual([made]);
      await contract.broker.pass('3s');
      await until('it has started two runs', async () => (await startedBy(user)()).length >= 2);
      await contract.runs.schedules.cancel({ workspace: 'Shop', workflow: 'Confirm' }, id);
      expect(await contract.code(contract.runs.schedules.get({ workspace: 'Shop', workflow: 'Confirm' }, id))).toBe('SCHEDULE_UNKNOWN');
      expect(await contract.runs.schedules.list({ workflow: 'Confirm' })).toEqual([]);
    });

    it('that a class declares is there', async () => {
      const schedule = await contract.runs.schedules.get({ workspace: 'Shop', workflow: Nightly.name }, 'declared-default');
      expect(schedule).toMatchObject({ recurrence: '@every 86400s', userId: 'schedule', payload: { name: 'nightly' } });
    });

    it.each<[Recurrence, string | undefined]>([
      ['', undefined],
      ['* * * *', undefined],
      ['@at 2030-01-01T00:00:00Z', undefined],
      ['@sometimes', undefined],
      ['@every 100ms', undefined],
      ['@every soon', undefined],
      [{ every: '500ms' }, undefined],
      ['0 60 * * * *', undefined],
      ['0 0 0 L * *', undefined],
      ['0 0 0 * * 1#2', undefined],
      ['5-3 * * * * *', undefined],
      ['0 0 0 * * 7', undefined],
      ['0 0 0 0 * *', undefined],
      ['0 0 0 31 2 *', undefined],
      ['0 0 0 1W * *', undefined],
      ['0 0 9 * * *', 'Mars/Phobos'],
    ])('of %j in %s is refused', async (recurrence, timeZone) => {
      const made = contract.runs.schedule('bad', recurrence, Confirm, Shop, order, 'u1', timeZone === undefined ? {} : { timeZone });
      expect(await contract.code(made)).toBe('SCHEDULE_INVALID');
    });

    it.each<[Recurrence, string | undefined]>([
      ['@hourly', undefined],
      ['@yearly', undefined],
      ['@midnight', undefined],
      ['@every 1h30m', undefined],
      ['0 0 9 * jan-mar mon', 'Europe/Berlin'],
      ['*/15 0-30/5 1,2 1 * *', undefined],
      ['0 0 0 * * SUN', undefined],
      ['0 0 0 ? * *', undefined],
      ['@annually', undefined],
    ])('of %j in %s is taken', async (recurrence, timeZone) => {
      const made = await contract.runs.schedule('good', recurrence, Confirm, Shop, order, 'u1', timeZone === undefined ? {} : { timeZone });
      expect(made).toMatchObject({ recurrence, ...(timeZone === undefined ? {} : { timeZone }) });
      await contract.runs.schedules.cancel(made, 'good');
    });
  });
}

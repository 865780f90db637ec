import type { ErrorCode, LoopstackError, RunOptions } from '@loopstack/shared';
import { Confirm, Deeper, Shop, Verbose } from './application.js';
import type { Contract } from './contract.js';
import { until } from '../until.js';

export function refusalCases(contract: Contract): void {
  const order = { id: 'refused', amount: 1 };

  describe('what cannot run', () => {
    it('has a payload that names the fields that are wrong', async () => {
      const run = contract.runs.run(Confirm, Shop, { id: 'x', amount: 0, more: 1 } as never, 'u1');
      const error = await run.catch((thrown: unknown) => thrown as LoopstackError);
      expect(error).toMatchObject({ code: 'PAYLOAD_INVALID', statusCode: 400 });
      expect((error as LoopstackError).errors.map(({ path }) => path).toSorted((a, b) => a.localeCompare(b))).toEqual(['amount', 'more']);
    });

    it.each<[ErrorCode, string, string, string, RunOptions]>([
      ['WORKFLOW_UNKNOWN', 'Unknown', 'Shop', 'u1', {}],
      ['WORKSPACE_UNKNOWN', 'Confirm', 'Elsewhere', 'u1', {}],
      ['NAME_INVALID', 'Con.firm', 'Shop', 'u1', {}],
      ['USER_MISSING', 'Confirm', 'Shop', '', {}],
      ['OPTION_INVALID', 'Confirm', 'Shop', 'u1', { delay: 'soon' as '1s' }],
      ['OPTION_INVALID', 'Confirm', 'Shop', 'u1', { delay: '1s', at: new Date(0) }],
      ['OPTION_INVALID', 'Confirm', 'Shop', 'u1', { priority: 'urgent' as 'high' }],
      ['OPTION_INVALID', 'Confirm', 'Shop', 'u1', { idempotencyKey: '' }],
      ['OPTION_INVALID', 'Confirm', 'Shop', 'u1', { headers: { 'Loopstack-Run-Id': 'mine' } }],
      ['OPTION_INVALID', 'Confirm', 'Shop', 'u1', { headers: { 'X-A': 'a\nb' } }],
      ['OPTION_INVALID', 'Confirm', 'Shop', 'u1', { correlationId: ' blank ' }],
    ])('is refused with %s (%s of %s for %j, %j)', async (code, workflow, workspace, userId, options) => {
      expect(await contract.code(contract.runs.run(workflow, workspace, order, userId, options))).toBe(code);
    });

    it('is too large for the broker', async () => {
      const payload = { id: 'x'.repeat(1024 * 1024), amount: 1 };
      expect(await contract.code(contract.runs.run(Confirm, Shop, payload, 'u1'))).toBe('PAYLOAD_TOO_LARGE');
    });

    it('is no run of which anything is known', async () => {
      expect(await contract.code(contract.runs.get('unknown'))).toBe('RUN_UNKNOWN');
      expect(await contract.code(contract.runs.get({ workspace: Shop, workflow: Confirm, id: 'unknown' }))).toBe('RUN_UNKNOWN');
      expect(await contract.code(contract.runs.list({ limit: 0 }))).toBe('OPTION_INVALID');
    });

    it.each([
      ['long', 'RESULT_TOO_LARGE'],
      ['bigint', 'RESULT_UNSERIALIZABLE'],
    ] as const)('has a result that cannot be recorded: %s', async (result, code) => {
      const run = await contract.runs.run(Verbose, Shop, { result }, 'u1');
      expect(await contract.code(run.result())).toBe('RUN_FAILED');
      expect(await contract.letterOf(run.id)).toMatchObject({ reason: 'failed', code, attempts: 1 });
    });

    it('starts itself in a circle', async () => {
      const run = await contract.runs.run(Deeper, Shop, { until: 4 }, 'circle');
      await run.result();
      const letter = await until('there is a letter', async () => (await contract.broker.deadLetters.list({ workflow: 'Deeper' }))[0]);
      expect(letter).toMatchObject({ reason: 'invalid', code: 'CAUSE_TOO_DEEP' });
    });
  });

  describe('a command of another program', () => {
    const subject = 'loopstack.run.Shop.Confirm';

    it('is a run without any header', async () => {
      await contract.broker.publish(subject, { payload: { id: 'plain', amount: 9 }, userId: 'shell' });
      const run = await until('it has succeeded', async () =>
        (await contract.runs.list({ workflow: 'Confirm', status: 'succeeded' })).find(({ userId }) => userId === 'shell'),
      );
      expect(run.result).toMatchObject({ id: 'plain', amount: 9 });
      expect(await contract.runs.get(run.id)).toMatchObject({ status: 'succeeded', sequence: run.sequence });
    });

    it('that is a CloudEvent twice is one run', async () => {
      const event = { specversion: '1.0', type: 't', source: 'shop', id: 'e-1', userid: 'cloud', data: { id: 'ce', amount: 1 } };
      await contract.broker.publish(subject, event);
      await contract.broker.publish(subject, event);
      await contract.broker.publish(subject, { ...event, id: 'e-2' });
      const runs = await until('both events have their run', async () => {
        const found = await contract.runs.list({ workflow: 'Confirm', status: 'succeeded' });
        const ours = found.filter(({ userId }) => userId === 'cloud');
        return ours.length >= 2 && ours;
      });
      expect(runs).toHaveLength(2);
    });

    it.each([
      ['no JSON', '{"payload":', 'BODY_NOT_JSON', 'invalid'],
      ['an unknown field', { payload: order, userId: 'u1', extra: 1 }, 'COMMAND_INVALID', 'invalid'],
      ['a payload that is refused', { payload: { id: 'x', amount: 0 }, userId: 'u1' }, 'PAYLOAD_INVALID', 'invalid'],
    ])('with %s is a dead letter', async (name, body, code, reason) => {
      await contract.broker.publish(subject, body, { 'X-Case': name });
      const letter = await until('there is a letter', async () =>
        (await contract.broker.deadLetters.list({ workflow: 'Confirm' })).find((one) => one.headers['X-Case'] === name),
      );
      expect(letter).toMatchObject({ code, reason, attempts: 1, redriven: 0 });
    });
  });
}

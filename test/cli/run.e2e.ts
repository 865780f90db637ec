import type { RunInfo } from '@loopstack/shared/contract';
import { CliRig } from './rig.js';

const rig = CliRig.use('all');
beforeAll(async () => {
  await rig.worker();
});

const TARGET = 'Orders.ProcessOrder';
const RUN_ID = /^[0-9a-f-]{36}$/;

describe('loopstack run', () => {
  it('starts a run and prints its id, and nothing else where nobody looks', async () => {
    const done = await rig.loopstack('run', TARGET, '--user', 'u1', '--arg', 'orderId=o-1');
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(done.stdout.trim()).toMatch(RUN_ID);
  });

  it('waits for the result', async () => {
    const done = await rig.loopstack('run', TARGET, '-u', 'u1', '-a', 'orderId=o-1', '-a', 'priority:=3', '--wait');
    expect(done.code).toBe(0);
    expect(JSON.parse(done.stdout)).toEqual({ orderId: 'o-1', by: 'u1' });
    const told = await rig.json<Record<string, unknown>>(['run', TARGET, '-u', 'u1', '-a', 'orderId=o-1', '--wait']);
    expect(told).toMatchObject({
      id: expect.stringMatching(RUN_ID),
      workspace: 'Orders',
      stream: 'LOOPSTACK_RUNS',
      duplicate: false,
      result: { by: 'u1' },
    });
  });

  it('ends with 1 if the run failed, and names the field that was refused', async () => {
    const failed = await rig.loopstack('run', TARGET, '-u', 'u1', '-a', 'orderId=o-2', '-a', 'act=fail', '--wait');
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    expect(failed.stderr).toContain('no o-2');
    const refused = await rig.loopstack('run', TARGET, '-u', 'u1', '-a', 'orderId=o-2', '-a', 'priority:=99', '--wait');
    expect(refused).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/^ {2}priority: .*9.*received number/m) });
    const unchecked = await rig.loopstack('run', TARGET, '-u', 'u1', '-a', 'orderId=o-2', '-a', 'priority:=99', '--wait', '--no-check');
    expect(unchecked).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/^ {2}priority: .*9/m) });
  });

  it('ends with 3 if the run goes on when the wait is over', async () => {
    const late = await rig.loopstack(
      'run',
      TARGET,
      '-u',
      'u1',
      '-a',
      'orderId=o-3',
      '-a',
      'act=hang',
      '--wait',
      '--timeout',
      '300ms',
      '--json',
    );
    expect(late.code).toBe(3);
    expect(JSON.parse(late.stderr)).toMatchObject({
      error: { code: 'RESULT_TIMEOUT', message: expect.stringMatching(/no outcome after 300 ms$/) },
    });
  });

  it('takes the payload from a file, standard input, or JSON', async () => {
    const file = await rig.file('order.json', '{"orderId":"from a file"}');
    const payload = '{"orderId":"o-4","act":"progress"}';
    expect(JSON.parse((await rig.loopstack('run', TARGET, '-u', 'u1', '--file', file, '-w')).stdout)).toMatchObject({
      orderId: 'from a file',
    });
    expect(JSON.parse((await rig.with({ stdin: payload }, 'run', TARGET, '-u', 'u1', '-f', '-', '-w')).stdout)).toMatchObject({
      orderId: 'o-4',
    });
    expect(JSON.parse((await rig.loopstack('run', TARGET, '-u', 'u1', '--payload', payload, '-w')).stdout)).toMatchObject({
      orderId: 'o-4',
    });
  });

  it('starts many from lines, and says which could not be', async () => {
    const lines = [
      '{"orderId":"a"}',
      '{"payload":{"orderId":"b"},"userId":"u2","key":"once"}',
      '{"payload":{"orderId":"b"},"userId":"u2","key":"once"}',
      '',
      'no JSON',
      '{"payload":{"orderId":"c"},"target":"Orders.Nothing"}',
    ].join('\n');
    const done = await rig.with({ stdin: lines }, 'run', TARGET, '-u', 'u1', '--lines', '-', '--wait', '--json');
    expect(done.code).toBe(3);
    const started = done.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { line: number; id: string; result: { by: string } })
      // They are told as they end.
      .toSorted((x, y) => x.line - y.line);
    expect(started).toMatchObject([
      { line: 1, result: { by: 'u1' } },
      { line: 2, result: { by: 'u2' } },
      { line: 3, result: { by: 'u2' } },
    ]);
    expect(started[1]?.id).not.toBe(started[0]?.id);
    expect(started[2]?.id).toBe(started[1]?.id);
    const errors = done.stderr
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { error: { message: string } }).error.message);
    expect(errors).toEqual([
      expect.stringContaining('line 5'),
      expect.stringContaining('line 6: Workspace Orders has no workflow Nothing'),
    ]);
  });

  it('says what may have been meant by a name that nobody knows', async () => {
    const workflow = await rig.loopstack('run', 'Orders.ProcesOrder', '-u', 'u1');
    expect(workflow).toMatchObject({ code: 2, stdout: '' });
    expect(workflow.stderr).toContain('Did you mean Orders.ProcessOrder?');
    const workspace = await rig.loopstack('run', 'orders.ProcessOrder', '-u', 'u1', '--json');
    expect(JSON.parse(workspace.stderr)).toMatchObject({
      error: { code: 'WORKSPACE_UNKNOWN', fix: expect.stringContaining('Orders.ProcessOrder') },
    });
    expect((await rig.loopstack('run', 'Orders.Later', '-u', 'u1', '--no-check')).code).toBe(0);
  });

  it('starts one run for one idempotency key, and starts later when told to', async () => {
    const args = ['run', TARGET, '-u', 'u1', '-a', 'orderId=o-5', '--key', 'order-5'];
    const first = await rig.json<{ id: string; duplicate: boolean }>(args);
    const second = await rig.json<{ id: string; duplicate: boolean }>(args);
    expect([first.duplicate, second.duplicate]).toEqual([false, true]);
    expect(second.id).toBe(first.id);
    const other = await rig.loopstack(...args.map((arg) => (arg === 'orderId=o-5' ? 'orderId=o-50' : arg)));
    expect([other.code, other.stderr]).toEqual([
      2,
      expect.stringContaining(`The idempotency key of run ${first.id} belongs to another payload`),
    ]);
    const later = await rig.json<{ id: string; sequence: number }>(['run', TARGET, '-u', 'u1', '-a', 'orderId=o-6', '--delay', '1h']);
    expect((await rig.loopstack('runs', 'show', later.id)).stdout).toMatch(/^status +queued\n(.*\n)*due +\d{4}-/m);
    expect(later.sequence).toBe(0);
    expect(await rig.json<RunInfo>(['runs', 'show', later.id])).toMatchObject({ status: 'queued' });
  });

  it.each([
    ['without a target', ['run', '-u', 'u1'], 'no workflow given'],
    ['without a user', ['run', TARGET], '--user'],
    ['with a target of one name', ['run', 'ProcessOrder', '-u', 'u1'], '<Workspace>.<Workflow>'],
    ['with two payloads', ['run', TARGET, '-u', 'u1', '-a', 'a=1', '--payload', '{}'], 'give the payload only once'],
    ['with a payload that is no JSON', ['run', TARGET, '-u', 'u1', '--payload', '{'], 'is not JSON'],
    ['with an unknown option', ['run', TARGET, '--usr', 'u1'], "unknown option '--usr'"],
    ['with a file that is not there', ['run', TARGET, '-u', 'u1', '-f', 'none.json'], 'ENOENT'],
  ])('ends with 2 %s', async (_, args, text) => {
    const done = await rig.loopstack(...args);
    expect(done).toMatchObject({ code: 2, stdout: '' });
    expect(done.stderr).toContain(text);
  });

  it('ends with 2 where there is no server', async () => {
    const done = await rig.with({ env: { NATS_URL: 'nats://127.0.0.1:1' } }, 'run', TARGET, '-u', 'u1');
    expect(done).toMatchObject({ code: 2, stdout: '' });
    expect(done.stderr).toContain('no connection to 127.0.0.1:1');
  });
});

import { encodeRunEvent, wireNames, type RunEvent, type RunInfo } from '@loopstack/shared/contract';
import { until } from '../until.js';
import { CliRig } from './rig.js';

const rig = CliRig.use('all');
beforeAll(async () => {
  await rig.worker();
});

async function started(orderId: string, act?: string): Promise<string> {
  const more = act === undefined ? [] : ['-a', `act=${act}`];
  return (await rig.json<{ id: string }>(['run', 'Orders.ProcessOrder', '-u', 'u1', '-a', `orderId=${orderId}`, ...more])).id;
}

const status = async (id: string): Promise<string> => (await rig.json<RunInfo>(['runs', 'show', id])).status;

describe('loopstack runs', () => {
  it('list tells what became of runs', async () => {
    const good = await started('good');
    const bad = await started('bad', 'fail');
    await until('both have ended', async () => (await status(good)) === 'succeeded' && (await status(bad)) === 'failed');
    const all = await rig.json<RunInfo[]>(['runs', 'list', '--workspace', 'Orders']);
    expect(all.map(({ id }) => id)).toEqual(expect.arrayContaining([good, bad]));
    const failed = await rig.json<RunInfo[]>(['runs', 'list', '--status', 'failed', '--since', '1h', '-n', '1']);
    expect(failed).toMatchObject([{ id: bad, status: 'failed', error: { message: expect.stringContaining('no bad') } }]);
    const { stdout } = await rig.loopstack('runs', 'list', '--status', 'failed');
    expect(stdout).toMatch(/^RUN +WORKFLOW +STATUS/);
    expect(stdout).toContain(`${bad}  Orders.ProcessOrder  failed`);
    expect((await rig.loopstack('runs', 'list', '--workflow', 'Nothing')).stdout).toBe('no runs\n');
  });

  it('list takes a user and a time', async () => {
    const mine = await rig.json<{ id: string }>(['run', 'Orders.ProcessOrder', '-u', 'ann', '-a', 'orderId=mine', '--wait']);
    const listed = (...flags: string[]): Promise<RunInfo[]> => rig.json<RunInfo[]>(['runs', 'list', '--user', 'ann', ...flags]);
    expect((await listed()).map(({ id }) => id)).toEqual([mine.id]);
    expect(await listed('--until', '1h')).toEqual([]);
    expect((await listed('--until', new Date(Date.now() + 60_000).toISOString())).map(({ id }) => id)).toEqual([mine.id]);
    expect((await rig.loopstack('runs', 'list', '--until', 'yesterday')).stderr).toContain('--until yesterday: expected a time');
  });

  it('show tells one with its history', async () => {
    const id = await started('shown', 'progress');
    await until('it has ended', async () => (await status(id)) === 'succeeded');
    const { events } = await rig.json<{ events: RunEvent[] }>(['runs', 'show', id]);
    expect(events.map(({ type }) => type)).toEqual(['started', 'progress', 'succeeded']);
    const { stdout } = await rig.loopstack('runs', 'show', id);
    expect(stdout).toMatch(/^status +succeeded$/m);
    expect(stdout).toMatch(/succeeded +attempt 1 +\{"orderId":"shown","by":"u1"\}/);
    const none = await rig.loopstack('runs', 'show', '01900000-0000-7000-8000-000000000000');
    expect(none.code).toBe(2);
    expect(none.stderr).toContain('There is no run');
    for (const command of ['show', 'watch', 'cancel']) {
      const wild = await rig.loopstack('runs', command, '*', ...(command === 'cancel' ? ['--yes'] : []));
      expect([wild.code, wild.stderr]).toEqual([2, expect.stringContaining('run id "*" is not a valid name')]);
    }
    expect((await rig.loopstack('runs', 'watch', '--workspace', 'a b')).stderr).toContain('is not a valid name');
  });

  it('watch follows one until it has ended, and tells by its exit code how', async () => {
    const id = await started('hanging', 'hang');
    const watching = rig.start(['runs', 'watch', id, '--json']);
    await until('it has started', () => watching.stdout.includes('"started"'));
    expect((await rig.loopstack('runs', 'cancel', id, '--yes')).code).toBe(0);
    const { code, stdout } = await watching.done;
    expect(code).toBe(1);
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as RunEvent).type),
    ).toEqual(['started', 'canceled']);
  });

  it('watch follows all until Ctrl-C', async () => {
    const watching = rig.start(['runs', 'watch', '--workspace', 'Orders']);
    const seen: string[] = [];
    await until('it has seen a run', async () => {
      seen.push(await started('watched'));
      return seen.some((id) => watching.stdout.includes(`${id}  Orders.ProcessOrder`));
    });
    watching.signal('SIGINT');
    expect((await watching.done).code).toBe(0);
  });

  it('cancel asks where somebody can answer, and does not act where nobody can', async () => {
    const id = await started('kept', 'hang');
    const refused = await rig.loopstack('runs', 'cancel', id);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('--yes');
    expect(await status(id)).not.toBe('canceled');
    expect(await rig.json(['runs', 'cancel', id, '--yes'])).toMatchObject([{ id, status: 'canceled' }]);
    const nobody = await rig.loopstack('runs', 'cancel', '01900000-0000-7000-8000-000000000000');
    expect(nobody).toMatchObject({ code: 2, stderr: expect.stringContaining('There is no run') });
    const ended = await started('ended');
    await until('it has ended', async () => (await status(ended)) === 'succeeded');
    const late = await rig.loopstack('runs', 'cancel', ended, await started('waiting', 'hang'), '--yes');
    expect(late).toMatchObject({ code: 3, stdout: expect.stringContaining(' canceled') });
    expect(late.stderr).toContain('has already ended as succeeded');
  });

  it('cancel takes the runs that options choose', async () => {
    const send = async (): Promise<string> => (await rig.json<{ id: string }>(['run', 'Orders.Retired', '-u', 'u1', '--no-check'])).id;
    const ids = [await send(), await send(), await send()];
    const kept = await started('kept', 'hang');
    const retired = ['runs', 'cancel', '--workflow', 'Retired', '--status', 'queued'];
    const idsOf = (runs: readonly RunInfo[]): string[] => runs.map(({ id }) => id).toSorted();
    expect(idsOf(await rig.json<RunInfo[]>([...retired, '--dry-run']))).toEqual(ids.toSorted());
    expect((await rig.loopstack(...retired)).code).toBe(2);
    expect(await status(ids[0] as string)).toBe('queued');
    expect(idsOf(await rig.json<RunInfo[]>([...retired, '--limit', '1', '--yes']))).toHaveLength(1);
    expect(await rig.json<RunInfo[]>([...retired, '--yes'])).toHaveLength(2);
    for (const id of ids) expect(await status(id)).toBe('canceled');
    expect((await rig.loopstack(...retired, '--yes')).stdout).toContain('nothing was canceled');
    expect(await status(kept)).not.toBe('canceled');
    expect(await rig.json<RunInfo[]>(['runs', 'cancel', '--user', 'u2', '--dry-run'])).toEqual([]);
    expect(idsOf(await rig.json<RunInfo[]>(['runs', 'cancel', '--user', 'u1', '--until', '0s', '--dry-run']))).toContain(kept);
    expect((await rig.loopstack('runs', 'cancel', kept, '--yes')).code).toBe(0);
  });

  it.each([
    ['no run and no option', []],
    ['ids and options', ['01900000-0000-7000-8000-000000000000', '--all']],
  ])('cancel refuses %s', async (_, args) => {
    const { code, stderr } = await rig.loopstack('runs', 'cancel', ...args, '--yes');
    expect([code, stderr]).toEqual([2, expect.stringMatching(/no runs selected|not both/)]);
  });

  it('foreign text prints on one clean line', async () => {
    const nc = await rig.connect();
    const evil = 'x\n2031-01-01 succeeded\u001b[2J\u009b31m\u2028\u202ey';
    const error = {
      code: 'HANDLER_FAILED',
      name: evil,
      message: evil,
      errors: [{ path: evil, rule: 'r', message: evil, received: evil }],
    } as const;
    const event: RunEvent = {
      type: 'failed',
      at: new Date().toISOString(),
      attempt: 1,
      userId: evil,
      worker: evil,
      error,
      result: evil,
      progress: { [evil]: evil },
    };
    await nc.request(wireNames().event({ workspace: 'Orders', workflow: 'ProcessOrder' }, 'forged'), encodeRunEvent(event));
    await nc.close();
    for (const how of [[], ['--json']]) {
      for (const command of [['show', 'forged'], ['watch', 'forged'], ['list']]) {
        const { stdout, stderr } = await rig.loopstack('runs', ...command, ...how);
        expect(stdout).toContain('2031');
        expect(stdout + stderr).not.toMatch(/^2031/m);
        expect((stdout + stderr).replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u);
      }
    }
  });

  it('an ambiguous id needs the address', async () => {
    const id = await started('mine', 'hang');
    await until('it has started', async () => (await status(id)) === 'running');
    const nc = await rig.connect();
    const forged: RunEvent = { type: 'canceled', at: new Date().toISOString(), attempt: 0 };
    await nc.request(wireNames().event({ workspace: 'Others', workflow: 'Steal' }, id), encodeRunEvent(forged));
    await nc.close();
    for (const command of [
      ['show', id],
      ['watch', id],
      ['cancel', id, '--yes'],
    ]) {
      const { code, stderr } = await rig.loopstack('runs', ...command);
      expect([code, stderr]).toEqual([2, expect.stringContaining(`Orders.ProcessOrder.${id} and Others.Steal.${id}`)]);
      expect(stderr).toContain('<Workspace>.<Workflow>.<id>');
    }
    const place = ['--workspace', 'Orders', '--workflow', 'ProcessOrder'];
    expect(await rig.json<RunInfo>(['runs', 'show', id, ...place])).toMatchObject({ id, workspace: 'Orders', status: 'running' });
    expect((await rig.loopstack('runs', 'show', id, '--workspace', 'Orders')).code).toBe(2);
    expect(await rig.json(['runs', 'cancel', `Orders.ProcessOrder.${id}`, '--yes'])).toMatchObject([
      { id, workspace: 'Orders', status: 'canceled' },
    ]);
  });
});

import type { ReplayPreview, ReplayReport } from '@loopstack/operations';
import type { RunEvent, RunInfo } from '@loopstack/shared/contract';
import { until } from '../until.js';
import { CliRig, type Running } from './rig.js';

const rig = CliRig.use('all');
beforeAll(async () => {
  await rig.worker();
  const lines = Array.from({ length: 40 }, (_, i) =>
    JSON.stringify({ orderId: `o-${i + 1}`, priority: (i % 9) + 1, ...(i % 10 === 9 ? { act: 'fail' } : {}) }),
  ).join('\n');
  await rig.with({ stdin: lines }, 'run', 'Orders.ProcessOrder', '-u', 'u1', '--lines', '-');
  await until('all have ended', async () => {
    const runs = await rig.json<{ status: string }[]>(['runs', 'list', '-n', '100']);
    return runs.length === 40 && runs.every(({ status }) => status === 'succeeded' || status === 'failed');
  });
});

const START = ['replay', 'start', 'Orders.ProcessOrder'];
const published = async (id: string): Promise<number> => (await rig.json<ReplayReport>(['replay', 'show', id])).counts.published;

async function begun(args: readonly string[], id: string): Promise<Running> {
  const running = rig.start([...START, '--yes', '--id', id, '--rate', '0.5', ...args]);
  await until(`${id} publishes`, async () => {
    const { code, stdout } = await rig.loopstack('replay', 'show', id, '--json');
    return code === 0 && (JSON.parse(stdout) as ReplayReport).counts.published > 0;
  });
  return running;
}

describe('loopstack replay start', () => {
  it('shows with --dry-run what it would do, before and after, and does nothing', async () => {
    const patch = '[{"op":"replace","path":"/payload/priority","value":9}]';
    const { code, stdout } = await rig.loopstack(...START, '--dry-run', '--patch', patch, '--examples', '1');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^40 commands would be published, of 40 read\nit would take about /);
    expect(stdout).toMatch(
      / {2}Orders\.ProcessOrder {2}user u1\n {4}payload\.orderId: "o-1"\n {2}- payload\.priority: 1\n {2}\+ payload\.priority: 9/,
    );
    const preview = await rig.json<ReplayPreview>([...START, '--dry-run', '--outcome', 'failed', '--limit', '3']);
    expect(preview).toMatchObject({ ready: 3, counts: { matched: 3 } });
    expect(await rig.json(['replay', 'list'])).toEqual([]);
  });

  it('does not publish without a yes', async () => {
    const done = await rig.loopstack(...START);
    expect(done).toMatchObject({ code: 2, stdout: '' });
    expect(done.stderr).toContain('Publish 40 commands?');
    expect(await rig.json(['replay', 'list'])).toEqual([]);
  });

  it('publishes, reports, and keeps a record', async () => {
    const done = await rig.loopstack(...START, '--outcome', 'failed', '--note', 'a bug', '--id', 'first', '--yes');
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(done.stdout).toMatch(/^replay +first {2}completed$/m);
    expect(done.stdout).toMatch(/^published +4 in /m);
    const [record] = await rig.json<ReplayReport[]>(['replay', 'list']);
    expect(record).toMatchObject({
      id: 'first',
      status: 'completed',
      by: expect.stringContaining('@'),
      request: { note: 'a bug', outcome: 'failed' },
      counts: { published: 4 },
    });
    expect((await rig.loopstack('replay', 'list')).stdout).toMatch(/first +completed +LOOPSTACK_RUNS +4 +4 +0/);
    const twice = await rig.loopstack(...START, '--id', 'first', '--yes');
    expect(twice.code).toBe(2);
    expect(twice.stderr).toContain('Replay first already exists');
  });

  it('selects and changes by modules, and ends with 3 where commands were refused', async () => {
    const where = await rig.file(
      'where.mjs',
      'export const where = ({ payload }) => payload.priority <= 2 && payload.act === undefined;\n',
    );
    const transform = await rig.file(
      'transform.mjs',
      "export default ({ payload, ...rest }) => ({ ...rest, payload, userId: payload.priority === 1 ? 'u9' : '' });\n",
    );
    const report = await rig.json<ReplayReport>([...START, '--where-module', where, '--transform', transform, '--yes'], 3);
    expect(report.counts.published).toBeGreaterThan(0);
    expect(report.counts.invalid).toBeGreaterThan(0);
    expect(report.invalid[0]).toMatchObject({ code: 'USER_MISSING' });
    expect(report.request.modules).toMatchObject({ where: { path: where, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) } });
  });

  it('replays dead letters, and messages of another stream', async () => {
    const dead = await rig.json<ReplayReport>(['replay', 'start', '--source', 'dead', '--reason', 'failed', '--limit', '2', '--yes']);
    expect(dead.counts).toMatchObject({ matched: 2, published: 2 });
    const events = await rig.json<ReplayReport>([
      'replay',
      'start',
      '--source',
      'LOOPSTACK_EVENTS',
      '--to',
      'Orders.ProcessOrder',
      '--map-user',
      'u1',
      '--no-check',
      '--limit',
      '2',
      '--yes',
    ]);
    expect(events).toMatchObject({ stream: 'LOOPSTACK_EVENTS', counts: { matched: 2, published: 2 } });
  });

  it('opens runs again with --same-run, and they run again', async () => {
    const report = await rig.json<ReplayReport>([...START, '--same-run', '--where', '@.orderId == "o-1"', '--yes']);
    expect(report.counts).toMatchObject({ published: 1, busy: 0 });
    const history = await until('it has run again', async () => {
      const [first] = (await rig.json<RunInfo[]>(['runs', 'list', '-n', '100'])).filter(
        ({ result }) => (result as { orderId?: string })?.orderId === 'o-1',
      );
      const { events } = first ? await rig.json<{ events: RunEvent[] }>(['runs', 'show', first.id]) : { events: [] };
      return events.length > 4 ? events : undefined;
    });
    expect(history.map(({ type }) => type)).toEqual(['started', 'succeeded', 'queued', 'started', 'succeeded']);
  });

  it.each([
    ['--where', '@.priority >', 'JSONPath'],
    ['--rate', 'fast', 'expected a number'],
    ['--since', 'yesterday', 'expected a time'],
    ['--outcome', 'lost', 'Allowed choices'],
    ['--source', 'NOTHING', 'map'],
    ['--where-module', 'none.mjs', 'cannot be read'],
  ])('refuses %s %s', async (option, value, text) => {
    const done = await rig.loopstack(...START, option, value, '--dry-run');
    expect(done.code).toBe(2);
    expect(done.stderr).toContain(text);
  });
});

describe('a replay that goes on', () => {
  it('is paused, resumed and aborted from another terminal', async () => {
    const running = await begun([], 'remote');
    const paused = await rig.loopstack('replay', 'pause', 'remote');
    expect(paused.stdout).toMatch(/^replay +remote {2}paused$/m);
    const held = await published('remote');
    const resumed = await rig.json<ReplayReport>(['replay', 'resume', 'remote']);
    expect(resumed.status).toBe('running');
    await until('it goes on', async () => (await published('remote')) > held);
    expect((await rig.loopstack('replay', 'abort', 'remote')).code).toBe(2);
    expect((await rig.loopstack('replay', 'abort', 'remote', '--yes')).code).toBe(0);
    const { code, stdout, stderr } = await running.done;
    expect(code).toBe(3);
    expect(stderr).toBe('paused; to resume: loopstack replay resume remote\n');
    expect(stdout).toMatch(/^replay +remote {2}aborted$/m);
    expect(stdout).toMatch(/^pause +\S+@\S+, /m);
    expect((await rig.loopstack('replay', 'resume', 'remote')).code).toBe(2);
  });

  it('is interrupted by Ctrl-C, and resumed with what it was started with', async () => {
    const where = await rig.file('later.mjs', 'export default ({ payload }) => payload.act === undefined;\n');
    const running = await begun(['--where-module', where], 'interrupted');
    running.signal('SIGINT');
    expect(await running.done).toMatchObject({ code: 3, stdout: expect.stringMatching(/^replay +interrupted {2}interrupted$/m) });
    await rig.file('later.mjs', 'export default () => true;\n');
    const changed = await rig.loopstack('replay', 'resume', 'interrupted');
    expect(changed.code).toBe(2);
    expect(changed.stderr).toContain('later.mjs has changed since the replay was started');
    await rig.file('later.mjs', 'export default ({ payload }) => payload.act === undefined;\n');
    const report = await rig.json<ReplayReport>(['replay', 'resume', 'interrupted', '--rate', 'none']);
    expect(report).toMatchObject({ status: 'completed', counts: { published: 36 } });
  });
});

import { Workflow, Workspace } from '@loopstack/core';
import { startApp } from '../rig/app.js';
import { until } from '../until.js';
import { CliRig } from './rig.js';

const rig = CliRig.use('all', { config: 'jetstream { sync_interval: always }' });

interface Finding {
  readonly check: string;
  readonly status: string;
  readonly message: string;
  readonly fix?: string;
}

const finding = (findings: readonly Finding[], check: string): Finding | undefined => findings.find((one) => one.check === check);

describe('where no worker has ever run', () => {
  it('there are no workflows, no streams and no catalogue', async () => {
    expect((await rig.loopstack('workflows')).stdout).toContain('no worker has run here yet');
    expect((await rig.loopstack('streams')).stdout).toContain('no worker has run here yet');
    expect(await rig.json(['workflows'])).toEqual([]);
  });

  it('doctor says so, and what to do', async () => {
    const findings = await rig.json<Finding[]>(['doctor'], 3);
    expect(finding(findings, 'stream LOOPSTACK_RUNS')).toMatchObject({
      status: 'problem',
      message: 'it does not exist',
      fix: expect.stringContaining('worker'),
    });
    expect(finding(findings, 'connection')?.message).toContain('account $G');
  });
});

describe('beside a worker', () => {
  beforeAll(() => rig.worker());

  it('workflows lists what is served and what waits', async () => {
    expect(await rig.json(['workflows'])).toMatchObject([{ workspace: 'Orders', workflow: 'ProcessOrder', pending: 0, paused: false }]);
    expect((await rig.loopstack('workflows')).stdout).toMatch(/^WORKFLOW.*\nOrders\.ProcessOrder /);
  });

  it('workflows pauses and resumes one', async () => {
    const paused = await rig.json<{ pausedUntil: string }[]>(['workflows', 'pause', 'Orders.ProcessOrder', '--for', '1h']);
    expect(paused).toMatchObject([{ workspace: 'Orders', workflow: 'ProcessOrder', paused: true }]);
    const { id } = await rig.json<{ id: string }>(['run', 'Orders.ProcessOrder', '-u', 'u1', '-a', 'orderId=o-1']);
    await until('it waits', async () => (await rig.json<{ pending: number }[]>(['workflows']))[0]?.pending === 1);
    expect((await rig.loopstack('workflows')).stdout).toContain(`paused until ${paused[0]?.pausedUntil}`);
    const forever = await rig.loopstack('workflows', 'pause', 'Orders.ProcessOrder');
    expect(forever).toMatchObject({ code: 0, stdout: 'Orders.ProcessOrder is paused: 1 command queued, 0 active\n' });
    expect(await rig.json(['runs', 'show', id])).toMatchObject({ status: 'queued' });
    expect((await rig.loopstack('workflows', 'resume', 'Orders.ProcessOrder')).stdout).toMatch(/^Orders\.ProcessOrder is resumed: /);
    await until('it has ended', async () => (await rig.json<{ status: string }>(['runs', 'show', id])).status === 'succeeded');
    const typo = await rig.loopstack('workflows', 'pause', 'Orders.ProcesOrder');
    expect([typo.code, typo.stderr]).toEqual([2, expect.stringMatching(/has no workflow ProcesOrder[^]*Orders\.ProcessOrder/)]);
    expect((await rig.loopstack('workflows', 'pause', 'Orders.ProcessOrder', '--for', 'long')).code).toBe(2);
  });

  it('streams lists what is stored', async () => {
    await rig.loopstack('run', 'Orders.ProcessOrder', '-u', 'u1', '-a', 'orderId=o-1', '--wait');
    const streams = await rig.json<{ name: string; messages: number }[]>(['streams']);
    expect(streams).toEqual(expect.arrayContaining([expect.objectContaining({ name: 'LOOPSTACK_RUNS', messages: 2 })]));
  });

  it('schedules are put, listed and ended', async () => {
    const put = await rig.loopstack(
      'schedules',
      'put',
      'nightly',
      'Orders.ProcessOrder',
      '--cron',
      '0 0 3 * * *',
      '--time-zone',
      'Europe/Berlin',
      '-u',
      'u1',
      '-a',
      'orderId=o-9',
    );
    expect(put).toMatchObject({ code: 0, stderr: '' });
    expect(await rig.json(['schedules'])).toMatchObject([
      { id: 'nightly', recurrence: expect.stringContaining('0 0 3 * * *'), timeZone: 'Europe/Berlin', payload: { orderId: 'o-9' } },
    ]);
    expect((await rig.loopstack('schedules', 'list')).stdout).toMatch(/nightly +Orders\.ProcessOrder/);
    expect((await rig.loopstack('schedules', 'cancel', 'nightly', 'Orders.ProcessOrder')).code).toBe(2);
    expect((await rig.loopstack('schedules', 'cancel', 'nightly', 'Orders.ProcessOrder', '--yes')).code).toBe(0);
    expect(await rig.json(['schedules'])).toEqual([]);
    const wrong = await rig.loopstack('schedules', 'put', 'x', 'Orders.ProcessOrder', '--cron', 'now and then', '-u', 'u1');
    expect(wrong.code).toBe(2);
  });

  it('bindings are listed, named by doctor when nobody consumes them, and removed', async () => {
    const nc = await rig.connect();
    await (await nc.jetstreamManager()).streams.add({ name: 'SHOP', subjects: ['shop.>'] });
    class Greet {
      run(): void {}
    }
    Workflow({ on: [{ subject: 'shop.opened', userId: 'u1' }] })(Greet);
    class Shop {}
    Workspace({ workflows: [Greet] })(Shop);
    const app = await startApp([Greet, Shop], { servers: rig.server.url });
    expect((await rig.loopstack('bindings')).stdout).toMatch(
      /^BINDING .*DECLARED BY.*\nloopstack~on~Shop~Greet~shop,opened  on +SHOP +shop\.opened +now +Shop\.Greet/,
    );
    expect((await rig.loopstack('bindings', 'remove', 'loopstack~on~Shop~Greet~shop,opened', '-y')).code).toBe(2);
    await app.close();
    await nc.jetstream().publish('shop.opened', '{}');
    await nc.close();
    const stopped = async (): Promise<boolean> => !(await rig.json<{ consumed: boolean }[]>(['bindings', 'list']))[0]?.consumed;
    await until('the server knows that nobody consumes it', stopped);
    const [durable] = (await rig.json<{ durable: string }[]>(['bindings'])).map((binding) => binding.durable);
    expect(finding(await rig.json<Finding[]>(['doctor'], 3), `binding ${durable}`)).toMatchObject({
      status: 'problem',
      message: '1 event of SHOP waiting and no process consumes it',
    });
    expect((await rig.loopstack('bindings', 'remove', durable as string, '-y')).stdout).toContain('removed');
    expect(await rig.json(['bindings'])).toEqual([]);
  });

  it('doctor names a workflow that somebody has paused, and how it goes on', async () => {
    const nc = await rig.connect();
    const pause = (body: object): Promise<unknown> =>
      nc.request('$JS.API.CONSUMER.PAUSE.LOOPSTACK_RUNS.Orders~ProcessOrder', JSON.stringify(body));
    await pause({ pause_until: '2999-01-01T00:00:00Z' });
    expect(finding(await rig.json<Finding[]>(['doctor']), 'queue Orders.ProcessOrder')).toEqual({
      check: 'queue Orders.ProcessOrder',
      status: 'warning',
      message: 'paused until 2999-01-01T00:00:00Z, 0 commands waiting',
      fix: 'To let it go on, on all its queues: `loopstack workflows resume Orders.ProcessOrder`.',
    });
    await pause({});
  });

  it('doctor finds nothing, and sees with the monitor how the server writes', async () => {
    const findings = await rig.json<Finding[]>(['doctor', '--monitor', rig.server.monitorUrl]);
    // How far the server is away depends on how busy this machine is.
    expect(findings.filter(({ check, status }) => status !== 'ok' && check !== 'connection')).toEqual([]);
    expect(finding(findings, 'durability')?.message).toContain('sync_interval: always');
    const blind = await rig.json<Finding[]>(['doctor']);
    expect(finding(blind, 'durability')).toMatchObject({ status: 'unknown', fix: expect.stringContaining('--monitor') });
  });

  it('doctor finds a backlog that nobody works on, dead letters, and a stream that was changed', async () => {
    await rig.loopstack('run', 'Orders.ProcessOrder', '-u', 'u1', '-a', 'orderId=o-1', '-a', 'priority:=99', '--wait', '--no-check');
    await rig.stopWorker();
    await rig.loopstack('run', 'Orders.ProcessOrder', '-u', 'u1', '-a', 'orderId=o-2');
    await rig.loopstack('run', 'Orders.ProcesOrder', '-u', 'u1', '--no-check');
    const { stdout, code } = await rig.loopstack('doctor');
    expect(code).toBe(3);
    expect(stdout).toMatch(/problem +queue Orders\.ProcesOrder: 1 command waiting, and no worker has ever served/);
    expect(stdout).toMatch(/problem +queue Orders\.ProcessOrder: 1 command waiting and no worker takes them\n +Start a worker/);
    expect(stdout).toMatch(/warning +dead letters: 1 dead letter/);
  });

  it('contract says where there is none', async () => {
    const done = await rig.loopstack('contract', '--prefix', 'elsewhere');
    expect(done.code).toBe(2);
    expect(done.stderr).toContain('no worker has published a catalogue');
  });
});

describe('loopstack --help', () => {
  it('of a command of a command tells the options that all of them take', async () => {
    const { code, stdout } = await rig.loopstack('runs', 'list', '--help');
    expect(code).toBe(0);
    expect(stdout.match(/--\w+/g)).toEqual(expect.arrayContaining(['--status', '--server', '--json', '--prefix']));
  });
});

/** Under npm, folders of installed commands come first. */
const pathWithoutLoopstack = (): string =>
  (process.env['PATH'] ?? '')
    .split(':')
    .filter((folder) => !folder.includes('node_modules'))
    .join(':');

describe('loopstack completion', () => {
  it.each(['bash', 'zsh', 'fish'])('gives a script for %s', async (shell) => {
    const { code, stdout } = await rig.loopstack('completion', shell);
    expect(code).toBe(0);
    expect(stdout).toContain('loopstack complete --');
  });

  it('knows commands, options, choices and workflows', async () => {
    const words = async (...typed: string[]): Promise<string[]> =>
      (await rig.loopstack('complete', '--', ...typed)).stdout.trim().split('\n');
    expect(await words('re')).toEqual(['replay']);
    expect(await words('comp')).toEqual(['completion']);
    expect(await words('replay', 'p')).toEqual(['pause']);
    expect(await words('replay', 'start', '--max')).toEqual(['--max-queued']);
    expect(await words('run', '--priority', '')).toEqual(['high', 'normal', 'low']);
    expect(await words('run', 'Ord')).toEqual(['Orders.ProcessOrder']);
    expect(await words('completion', '')).toEqual(['bash', 'zsh', 'fish']);
  });

  const PROGRAM = `node ${new URL('../../libs/cli/bin/loopstack.js', import.meta.url).pathname} "$@"`;

  it.each([
    ['loopstack is on the PATH', `loopstack() { ${PROGRAM}; }`, 'loopstack'],
    ['npx alone knows loopstack', `npx() { shift 3; ${PROGRAM}; }`, 'npx --no -- loopstack'],
  ])('completes in a shell where %s', async (_, definition, command) => {
    const script = `${definition}; eval "$(${command} completion bash)"; COMP_WORDS=(loopstack replay ab); COMP_CWORD=2; _loopstack; echo "\${COMPREPLY[@]}"`;
    const { execFile } = await import('node:child_process');
    const stdout = await new Promise<string>((resolve, reject) =>
      execFile('bash', ['-c', script], { env: { PATH: pathWithoutLoopstack() } }, (error, out) => (error ? reject(error) : resolve(out))),
    );
    expect(stdout.trim()).toBe('abort');
  });
});

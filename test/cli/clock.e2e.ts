import type { DeadLetter } from '@loopstack/shared';
import { FakeClock } from '../rig/fake-clock.js';
import { CliRig, type Done } from './rig.js';

interface Finding {
  readonly check: string;
  readonly status: string;
  readonly message: string;
  readonly fix?: string;
}

describe.each([
  ['ahead of', '+1h'],
  ['behind', '-1h'],
])('a machine whose clock is an hour %s the server’s', (side, offset) => {
  const rig = CliRig.use('all');
  let clock: FakeClock;
  beforeAll(async () => {
    clock = await FakeClock.create(rig.home, offset);
    await rig.worker();
  });

  const told = (...args: readonly string[]): Promise<Done> => rig.with({ env: clock.env }, ...args);

  it('is named by doctor, with the remedy', async () => {
    const findings = JSON.parse((await told('doctor', '--json')).stdout) as Finding[];
    expect(findings.find(({ check }) => check === 'clock')).toEqual({
      check: 'clock',
      status: 'warning',
      message: expect.stringMatching(new RegExp(`^this machine's clock is (?:59 min 59 s|1 h 0 min) ${side} the server's$`)),
      fix: expect.stringContaining('Keep clocks with NTP.'),
    });
  });

  it('selects by the time of the server, and tells ages by it', async () => {
    await rig.loopstack('run', 'Orders.ProcessOrder', '--user', 'ada', '--arg', 'orderId=a', '--arg', 'act=fail');
    const letters = async (...filter: string[]): Promise<DeadLetter[]> =>
      JSON.parse((await told('dead', 'list', '--json', ...filter)).stdout) as DeadLetter[];
    expect(await letters('--since', '10m')).toHaveLength(1);
    expect(await letters('--until', '10m')).toEqual([]);
    const preview = await told('replay', 'start', 'Orders.ProcessOrder', '--since', '10m', '--dry-run', '--json');
    expect(JSON.parse(preview.stdout)).toMatchObject({ counts: { matched: 1 } });
    expect((await told('dead', 'list')).stdout).toMatch(/ (\d+ ms|\d\d?\.\d s) ago /);
  });
});

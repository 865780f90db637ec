import { jest } from '@jest/globals';
import { HEADER, runIdTime, type RunHandle, type RunOptions } from '@loopstack/shared/contract';
import { ADDRESS, Rig, names } from './rig.js';

const HOUR_MS = 3_600_000;
const SOON_MS = 20_000;

describe.each([
  ['ahead', HOUR_MS],
  ['behind', -HOUR_MS],
])('a client on a connection of its service, on a machine an hour %s', (_, offMs) => {
  const { now } = Date;
  let rig: Rig;
  beforeEach(async () => {
    rig = await Rig.start();
    jest.spyOn(Date, 'now').mockImplementation(() => now() + offMs);
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await rig?.end();
  });

  const run = (options: RunOptions): Promise<RunHandle> => rig.client().run(ADDRESS.workflow, ADDRESS.workspace, {}, 'u1', options);

  const headerOf = async (stream: string, subject: string, header: string): Promise<string> =>
    (await (await rig.nc.jetstreamManager()).streams.getMessage(stream, { last_by_subj: subject })).header.get(header);

  it('waits for the time of the server before its first delayed run', async () => {
    const { id } = await run({ delay: '1h' });
    const at = await headerOf(names.streams.schedules, names.schedule(ADDRESS, id), 'Nats-Schedule');
    expect(Math.abs(Date.parse(at.replace('@at ', '')) - now() - HOUR_MS)).toBeLessThan(SOON_MS);
    expect(Math.abs((runIdTime(id) ?? 0) - now() - HOUR_MS)).toBeLessThan(SOON_MS);
  });

  it('waits for it before its first run with a deadline', async () => {
    await run({ expiresIn: '1h' });
    const at = await headerOf(names.streams.runs, names.run(ADDRESS), HEADER.EXPIRES_AT);
    expect(Math.abs(Date.parse(at) - now() - HOUR_MS)).toBeLessThan(SOON_MS);
  });
});

import { LoopstackClient } from '@loopstack/client';
import { HEADER, decodeRunCommand, runIdOrigin } from '@loopstack/shared/contract';
import { until } from '../until.js';
import { ADDRESS, Rig, codeOf, errorOf, names } from './rig.js';

interface Stored {
  readonly subject: string;
  readonly runId: string;
  readonly userId: string;
  readonly atMs: number;
  readonly header: (name: string) => string;
}

async function stored(rig: Rig): Promise<Stored[]> {
  const jsm = await rig.nc.jetstreamManager();
  const { state } = await jsm.streams.info(names.streams.runs);
  const list: Stored[] = [];
  for (let seq = Math.max(1, state.first_seq); seq <= state.last_seq; seq++) {
    const message = await jsm.streams.getMessage(names.streams.runs, { seq });
    const header = (name: string): string => message.header.get(name);
    list.push({
      subject: message.subject,
      runId: header(HEADER.RUN_ID),
      userId: decodeRunCommand(message.data).userId,
      atMs: message.time.getTime(),
      header,
    });
  }
  return list;
}

describe('delayed runs', () => {
  const rig = Rig.use('each');
  let client: LoopstackClient;
  beforeEach(() => {
    client = rig.client();
  });

  it('are commands from their time on, with the id that the caller got at once', async () => {
    const dueMs = Date.now() + 1000;
    const run = await client.run('ProcessOrder', 'Orders', { n: 1 }, 'u7', {
      delay: '1s',
      headers: { 'X-Tenant': 't1' },
      correlationId: 'c1',
    });
    expect(run).toMatchObject({ stream: names.streams.schedules, sequence: 0, duplicate: false });
    expect(runIdOrigin(run.id)).toBe('producer');
    expect(await client.get(run.id)).toMatchObject({ ...ADDRESS, status: 'queued', userId: 'u7' });
    expect(await stored(rig)).toEqual([]);
    const [command] = await until('the command is stored', async () => ((await stored(rig)).length > 0 ? stored(rig) : undefined));
    expect(command).toMatchObject({ subject: names.run(ADDRESS), runId: run.id, userId: 'u7' });
    expect(command?.header('X-Tenant')).toBe('t1');
    expect(command?.header(HEADER.CORRELATION_ID)).toBe('c1');
    expect(Math.abs((command?.atMs as number) - dueMs)).toBeLessThan(1000);
    // Found after it was due, too: by the time in its id.
    expect(await client.get(run.id)).toMatchObject({ status: 'queued', sequence: 1 });
  });

  it('start at once for a time that is past, and on the lane of their priority', async () => {
    const run = await client.run('ProcessOrder', 'Orders', {}, 'u1', { at: new Date(Date.now() - 60_000), priority: 'low' });
    const [command] = await until('the command is stored', async () => ((await stored(rig)).length > 0 ? stored(rig) : undefined));
    expect(command).toMatchObject({ subject: names.run(ADDRESS, 'low'), runId: run.id });
  });

  it('have a deadline that counts from their time', async () => {
    const at = new Date(Date.now() + 500);
    await client.run('ProcessOrder', 'Orders', {}, 'u1', { at, expiresIn: '1m' });
    const [command] = await until('the command is stored', async () => ((await stored(rig)).length > 0 ? stored(rig) : undefined));
    expect(command?.header(HEADER.EXPIRES_AT)).toBe(new Date(at.getTime() + 60_000).toISOString());
  });

  it('start when the server is back, if it was down at their time; each once', async () => {
    const due = await Promise.all(Array.from({ length: 20 }, () => client.run('ProcessOrder', 'Orders', {}, 'u1', { delay: '1s' })));
    const dueMs = Date.now() + 1000;
    await rig.crash(() => until('all are due', () => Date.now() > dueMs));
    const commands = await until('runs are stored', async () => ((await rig.count(names.streams.runs)) >= 20 ? stored(rig) : undefined));
    expect(commands.map((command) => command.runId).sort()).toEqual(due.map((run) => run.id).sort());
  });
});

describe('schedules', () => {
  const rig = Rig.use('each');
  let client: LoopstackClient;
  beforeEach(() => {
    client = rig.client();
  });

  const put = (recurrence: Parameters<LoopstackClient['schedule']>[1], options = {}): ReturnType<LoopstackClient['schedule']> =>
    client.schedule('nightly', recurrence, 'ProcessOrder', 'Orders', { kind: 'report' }, 'system', options);

  it('start a run of its own at each time', async () => {
    await put({ every: '1s' }, { headers: { 'X-Tenant': 't1' } });
    const commands = await until('runs are stored', async () => ((await rig.count(names.streams.runs)) >= 3 ? stored(rig) : undefined));
    expect(new Set(commands.map((command) => command.subject))).toEqual(new Set([names.run(ADDRESS)]));
    expect(commands.map((command) => command.runId)).toEqual(commands.map(() => ''));
    expect(commands[0]).toMatchObject({ userId: 'system' });
    expect(commands[0]?.header('X-Tenant')).toBe('t1');
    const listed = await client.list({ status: 'queued' });
    expect(new Set(listed.map((info) => info.id)).size).toBe(listed.length);
    expect(listed.every((info) => runIdOrigin(info.id) === 'sequence')).toBe(true);
    expect(await client.get(listed[0]?.id as string)).toMatchObject({ status: 'queued' });
  });

  it('of five fields are to the minute, as in crontab', async () => {
    const first = await put('0 9 * * *');
    expect(first.recurrence).toBe('0 0 9 * * *');
    expect(await put('0 0 9 * * *')).toEqual(first);
  });

  it('are listed, replaced and canceled', async () => {
    const first = await put('0 0 9 * * *', { timeZone: 'Europe/Berlin', priority: 'high' });
    expect(first).toMatchObject({
      ...ADDRESS,
      id: 'nightly',
      recurrence: '0 0 9 * * *',
      timeZone: 'Europe/Berlin',
      payload: { kind: 'report' },
      userId: 'system',
      priority: 'high',
    });
    await client.schedule('other', { every: '1h' }, 'PayOut', 'Bank', {}, 'u1');
    await client.run('ProcessOrder', 'Orders', {}, 'u1', { delay: '1h' });
    expect((await client.schedules.list()).map((schedule) => schedule.id).sort()).toEqual(['nightly', 'other']);
    expect((await client.schedules.list({ workspace: 'Bank' })).map((schedule) => schedule.recurrence)).toEqual(['@every 3600s']);
    const second = await client.schedules.replace('nightly', '0 0 10 * * *', 'ProcessOrder', 'Orders', {}, 'system');
    expect(second).toMatchObject({ recurrence: '0 0 10 * * *', priority: 'normal' });
    expect(second.timeZone).toBeUndefined();
    expect((await client.schedules.list({ workspace: 'Orders' })).length).toBe(1);
    await client.schedules.cancel(ADDRESS, 'nightly');
    expect(await codeOf(client.schedules.cancel(ADDRESS, 'nightly'))).toBe('SCHEDULE_UNKNOWN');
    expect(await codeOf(client.schedules.get(ADDRESS, 'nightly'))).toBe('SCHEDULE_UNKNOWN');
    expect(await codeOf(client.schedules.replace('nightly', '0 0 10 * * *', 'ProcessOrder', 'Orders', {}, 'system'))).toBe(
      'SCHEDULE_UNKNOWN',
    );
  });

  it('are canceled once: one that is put while the answer is lost stays', async () => {
    await put('0 0 9 * * *');
    const proxy = await rig.startProxy();
    const nc = await rig.connect({ servers: proxy.url, reconnectTimeWait: 20 });
    const far = new LoopstackClient(nc, { requestTimeout: '3s' });
    proxy.set('down', 'drop');
    const canceled = codeOf(far.schedules.cancel(ADDRESS, 'nightly'));
    await until('no schedule is left', async () => (await rig.count(names.streams.schedules)) === 0);
    await put('0 0 10 * * *');
    proxy.heal();
    proxy.cut();
    expect(await canceled).toBe('STREAM_UNAVAILABLE');
    expect(await client.schedules.get(ADDRESS, 'nightly')).toMatchObject({ recurrence: '0 0 10 * * *' });
    await far.close();
  });

  it('are one for any number of processes that declare them, and stay as they are', async () => {
    const all = await Promise.all(Array.from({ length: 10 }, () => put({ every: '1h' })));
    expect(new Set(all.map((schedule) => schedule.since)).size).toBe(1);
    expect(await rig.count(names.streams.schedules)).toBe(1);
  });

  it('may be declared differently by fifty at once: each gets its turn, one stands', async () => {
    const all = await Promise.all(Array.from({ length: 50 }, (_, i) => put({ every: `${i + 1}h` })));
    expect(all.length).toBe(50);
    expect(await rig.count(names.streams.schedules)).toBe(1);
  });

  it.each([
    ['* * * *', 'four fields'],
    ['* * * * * * *', 'seven fields'],
    ['0 61 * * * *', 'a minute that does not exist'],
    ['whenever', 'no expression'],
    ['@at 2030-01-01T00:00:00Z', 'one time'],
    [' @at 2030-01-01T00:00:00Z', 'one time, further right'],
    ['', 'nothing'],
    ['  ', 'white space'],
    [null as never, 'no text'],
    [7 as never, 'a number'],
  ])('%s is SCHEDULE_INVALID: %s', async (expression) => {
    expect(await codeOf(put(expression))).toBe('SCHEDULE_INVALID');
  });

  it('refuse periods of parts of seconds and time zones that do not exist', async () => {
    expect(await codeOf(put({ every: '1500ms' }))).toBe('SCHEDULE_INVALID');
    expect(await codeOf(put({ every: 0 }))).toBe('SCHEDULE_INVALID');
    const error = await errorOf(put('0 0 9 * * *', { timeZone: 'Mars/Olympus' }));
    expect(error).toMatchObject({ code: 'SCHEDULE_INVALID', message: expect.stringContaining('Mars/Olympus') as string });
    expect(await rig.count(names.streams.schedules)).toBe(0);
  });

  it('start once for all fires that the server missed', async () => {
    await put({ every: '1s' });
    await until('runs are stored', async () => (await rig.count(names.streams.runs)) >= 1);
    const missedMs = Date.now() + 4000;
    await rig.crash(() => until('several fires are missed', () => Date.now() > missedMs));
    const before = (await stored(rig)).length;
    const commands = await until('runs are stored', async () =>
      (await rig.count(names.streams.runs)) > before + 1 ? stored(rig) : undefined,
    );
    const times = commands.map((command) => command.atMs);
    const gap = Math.max(...times.slice(1).map((time, i) => time - (times[i] as number)));
    expect(gap).toBeGreaterThan(3000);
    // After the gap the period goes on; nothing is made up for in a burst.
    const after = times.slice(times.findIndex((time, i) => i > 0 && time - (times[i - 1] as number) === gap));
    expect(after.slice(1).every((time, i) => time - (after[i] as number) > 400)).toBe(true);
  });
});

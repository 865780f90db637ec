import { jest } from '@jest/globals';
import type { NatsConnection } from 'nats';
import { ServerClock } from './server-clock.js';

const HOUR_MS = 3_600_000;
const SOURCE = { api: '$JS.API', stream: 'RUNS' };

/** A connection to a server whose clock is ahead by as much as `aheadMs` says, and what it was asked. */
function connection(answers: { aheadMs?: number; tookMs?: number; fails?: (subject: string) => string | undefined } = {}) {
  const asked: string[] = [];
  const request = async (subject: string): Promise<object> => {
    asked.push(subject);
    const code = answers.fails?.(subject);
    if (code !== undefined) throw Object.assign(new Error(code), { code });
    const time = new Date(Date.now() + (answers.aheadMs ?? 0)).toISOString();
    await jest.advanceTimersByTimeAsync(answers.tookMs ?? 0);
    return { json: () => (subject.startsWith('$SYS') ? { server: { time } } : { ts: time }) };
  };
  const status = (): object => ({ async *[Symbol.asyncIterator]() {}, stop: () => undefined });
  const nc = { request, status, isClosed: () => false, isDraining: () => false, closed: () => new Promise(() => undefined) };
  return { nc: nc as unknown as NatsConnection, asked, answers };
}

describe('the clock of a server', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  it('is asked for with the first use and each minute, and is told of once when it begins to differ', async () => {
    const { nc, asked, answers } = connection();
    const clock = ServerClock.of(nc, SOURCE);
    const told: string[] = [];
    clock.tell = (finding) => told.push(finding);
    await clock.settled();
    expect(clock.nowMs()).toBe(Date.now());
    expect(clock.finding).toBeUndefined();
    expect(asked).toEqual(['$SYS.REQ.USER.INFO']);
    for (const aheadMs of [HOUR_MS, HOUR_MS, 0, -HOUR_MS]) {
      answers.aheadMs = aheadMs;
      await jest.advanceTimersByTimeAsync(60_000);
      expect(Math.abs(clock.nowMs() - Date.now() - aheadMs)).toBeLessThan(10);
    }
    expect(asked).toHaveLength(5);
    expect(told).toEqual([expect.stringContaining('behind'), expect.stringContaining('ahead of')]);
  });

  it('does not follow steps of the clock of this machine', async () => {
    const clock = ServerClock.of(connection().nc, SOURCE);
    await clock.settled();
    const before = clock.nowMs();
    jest.setSystemTime(Date.now() + HOUR_MS);
    expect(clock.nowMs()).toBe(before);
    expect(clock.finding).toContain('3600.0 s ahead of');
  });

  it('is asked for again when the clock of this machine is set, which may have slept', async () => {
    const { nc, asked, answers } = connection();
    const clock = ServerClock.of(nc, SOURCE);
    await clock.settled();
    jest.setSystemTime(Date.now() + HOUR_MS);
    answers.aheadMs = 60_000;
    await jest.advanceTimersByTimeAsync(1000);
    expect(asked).toHaveLength(2);
    expect(Math.abs(clock.nowMs() - Date.now() - 60_000)).toBeLessThan(10);
  });

  it('is not thought to differ by a server, or a machine, that is slow', async () => {
    const { nc, asked } = connection({ tookMs: 900 });
    const clock = ServerClock.of(nc, SOURCE);
    await clock.measure();
    expect(asked).toHaveLength(3);
    expect(clock.skew).toEqual({ aheadMs: 0, errorMs: 450 });
  });

  it('is taken from the stream where the user may not ask who he is, who is not asked again over this connection', async () => {
    const { nc, asked } = connection({
      aheadMs: HOUR_MS,
      fails: (subject) => (subject.startsWith('$SYS') ? 'PERMISSIONS_VIOLATION' : undefined),
    });
    const clock = ServerClock.of(nc, SOURCE);
    await clock.settled();
    expect(clock.nowMs()).toBe(Date.now() + HOUR_MS);
    await clock.measure();
    expect(asked).toEqual(['$SYS.REQ.USER.INFO', '$JS.API.STREAM.INFO.RUNS', '$JS.API.STREAM.INFO.RUNS']);
  });

  it('is that of the domain in which the streams are', async () => {
    const { nc, asked } = connection();
    await ServerClock.of(nc, { ...SOURCE, api: '$JS.hub.API' }).settled();
    expect(asked).toEqual(['$JS.hub.API.STREAM.INFO.RUNS']);
  });

  it('is this machine’s, wherever that is set, while the server does not tell; who needs it is told once', async () => {
    const clock = ServerClock.of(connection({ fails: () => '503' }).nc, SOURCE);
    const told: string[] = [];
    clock.tell = (finding) => told.push(finding);
    await clock.settled();
    jest.setSystemTime(Date.now() + HOUR_MS);
    expect(clock.nowMs()).toBe(Date.now());
    expect(clock.skew).toBeUndefined();
    expect(told).toEqual([]);
    clock.need();
    clock.need();
    expect(told).toEqual([expect.stringContaining('$SYS.REQ.USER.INFO')]);
    expect(clock.finding).toBe(told[0]);
  });

  it('is waited for a second at most', async () => {
    const { nc } = connection();
    (nc as { request: unknown }).request = () => new Promise(() => undefined);
    const clock = ServerClock.of(nc, SOURCE);
    const settled = clock.settled();
    await jest.advanceTimersByTimeAsync(1000);
    await settled;
    expect(clock.isSettled).toBe(false);
  });

  it('is asked for again by who needs it, where there was no answer', async () => {
    const { nc, asked, answers } = connection({ aheadMs: HOUR_MS, fails: () => 'TIMEOUT' });
    const clock = ServerClock.of(nc, SOURCE);
    await clock.settled();
    expect([clock.isSettled, asked.length]).toEqual([false, 2]);
    answers.fails = () => undefined;
    await clock.settled();
    expect([clock.isSettled, asked.length]).toEqual([true, 3]);
    expect(clock.nowMs()).toBe(Date.now() + HOUR_MS);
  });

  it('is one for each connection', async () => {
    const { nc } = connection();
    expect(ServerClock.of(nc)).toBe(ServerClock.of(nc, SOURCE));
    const other = ServerClock.of(connection().nc);
    expect(other).not.toBe(ServerClock.of(nc));
    await Promise.all([other.settled(), ServerClock.of(nc).settled()]);
  });
});

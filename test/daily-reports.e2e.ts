import { SchedulerRegistry } from '@nestjs/schedule';
import type { INestApplication } from '@nestjs/common';
import { type JetStreamManager, type NatsConnection } from 'nats';
import { harness } from './rig/harness.js';
import { createApp } from '../src/app.js';
import { Documents } from '../src/documents/documents.js';
import { ReportSubscriptions } from '../src/reports/report-subscriptions.js';
import { TaskScheduler } from '../src/reports/task-scheduler.js';
import { readSettings } from '../src/settings.js';
import { until } from './until.js';
import { unsettled } from './unsettled.js';

const USERS = ['u1', 'u2', 'somebody@example.com'];

const rig = harness();
let replicas: INestApplication[] = [];
let nc: NatsConnection;
let jsm: JetStreamManager;

beforeAll(async () => {
  await rig.startServer();
  const settings = readSettings({ NATS_URL: rig.url, PORT: '0', LOG_LEVEL: 'error', RATE_LIMIT: '0' });
  replicas = await Promise.all([1, 2].map(async () => rig.closeAtEnd(await createApp(settings))));
  await Promise.all(
    replicas.map(async (app) => {
      await app.init();
      await app.startAllMicroservices();
    }),
  );
  nc = await rig.connect();
  jsm = await nc.jetstreamManager();
});
async function stored(stream: string, filter: string): Promise<number> {
  const { state } = await jsm.streams.info(stream, { subjects_filter: filter });
  return Object.values(state.subjects ?? {}).reduce((sum, count) => sum + count, 0);
}

describe('the daily reports', () => {
  it('are due at nine in the morning, UTC, in every replica', () => {
    for (const app of replicas) {
      const next = app.get(SchedulerRegistry).getCronJob('daily-reports').nextDate().toUTC();
      expect([next.hour, next.minute, next.second]).toEqual([9, 0, 0]);
    }
  });

  it('are one run per user and day, however many replicas start them', async () => {
    const subscriptions = replicas[0]!.get(ReportSubscriptions);
    await Promise.all([...USERS, 'unsubscribed'].map((user) => subscriptions.set(user, true)));
    await subscriptions.set('unsubscribed', false);
    const documents = replicas[0]!.get(Documents);
    const placedAt = new Date(Date.now() - 3_600_000).toISOString();
    const tooOld = new Date(Date.now() - 25 * 3_600_000).toISOString();
    await documents.create('receipts', 'u1', 'o1', { placedAt, totalCents: 500 });
    await documents.create('receipts', 'u1', 'o2', { placedAt, totalCents: 250 });
    await documents.create('receipts', 'u1', 'o3', { placedAt: tooOld, totalCents: 9999 });
    await documents.create('receipts', 'u2', 'o4', { placedAt, totalCents: 1 });

    const [firstDay, day] = await duringOneDay(async () => {
      await Promise.all(replicas.map((app) => app.get(TaskScheduler).generateDailyReports()));
      // As the second replica does whose clock is a little late.
      await replicas[1]!.get(TaskScheduler).generateDailyReports();
    });
    const reports = await Promise.all(USERS.map((user) => until(`report of ${user}`, () => documents.read('reports', user, day))));
    expect(reports).toEqual([
      expect.objectContaining({ day, orders: 2, totalCents: 750 }),
      expect.objectContaining({ day, orders: 1, totalCents: 1 }),
      expect.objectContaining({ day, orders: 0, totalCents: 0 }),
    ]);
    expect(firstDay).toBe(day);
    expect(await documents.list('reports', 'unsubscribed')).toEqual([]);
    expect(await stored('LOOPSTACK_RUNS', 'loopstack.run.ReportsWorkspace.DailyReportWorkflow')).toBe(USERS.length);
    const left = (): Promise<number> => unsettled(jsm, 'LOOPSTACK_RUNS', 'ReportsWorkspace~DailyReportWorkflow');
    await until('every command is settled', async () => (await left()) === 0);
    // Claimed and succeeded, once each: no run has a second history.
    expect(await stored('LOOPSTACK_EVENTS', 'loopstack.event.ReportsWorkspace.DailyReportWorkflow.*')).toBe(2 * USERS.length);
  });
});

/** The UTC days at the begin and the end of what was done; it is not begun shortly before midnight. */
async function duringOneDay(act: () => Promise<void>): Promise<[string, string]> {
  const today = (): string => new Date().toISOString().slice(0, 10);
  // Ten seconds are more than it takes.
  await until('midnight is not near', () => new Date(Date.now() + 10_000).toISOString().slice(0, 10) === today());
  const before = today();
  await act();
  return [before, today()];
}

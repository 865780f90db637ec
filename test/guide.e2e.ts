import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type NatsConnection } from 'nats';
import { decodeRunEvent } from '@loopstack/shared';
import { harness } from './rig/harness.js';
import { until } from './until.js';
import { HttpWorker } from './rig/http-worker.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FIXTURE = join(ROOT, 'test/guide');

/** The import lines of the guide's examples, as they stand there. */
const IMPORTS: Readonly<Record<string, readonly string[]>> = {
  'app.controller.ts': [
    "import { Public } from '@loopstack/shared';",
    "import { RunService } from '@loopstack/core';",
    "import { MyWorkflow } from './my-module/my-workflow.workflow';",
    "import { MyWorkspace } from './my-module/my-workspace';",
  ],
  'webhook.controller.ts': [
    "import { Public } from '@loopstack/shared';",
    "import { RunService } from '@loopstack/core';",
    "import { ProcessWebhookWorkflow } from './workflows/process-webhook.workflow';",
    "import { MainWorkspace } from './main-workspace';",
  ],
  'task-scheduler.ts': [
    "import { Cron, CronExpression } from '@nestjs/schedule';",
    "import { RunService } from '@loopstack/core';",
    "import { DailyReportWorkflow } from './workflows/daily-report.workflow';",
    "import { ReportsWorkspace } from './reports-workspace';",
  ],
  'applications.controller.ts': [
    "import { AuthGuard } from '@nestjs/passport';",
    "import { CurrentUser } from './decorators/current-user.decorator';",
    "import { RunService } from '@loopstack/core';",
    "import { ProcessApplicationWorkflow } from './workflows/process-application.workflow';",
    "import { ApplicationsWorkspace } from './applications-workspace';",
  ],
  'order-processing.service.ts': [
    "import { RunService } from '@loopstack/core';",
    "import { ProcessOrderWorkflow } from './workflows/process-order.workflow';",
    "import { OrdersWorkspace } from './orders-workspace';",
  ],
};

let built: string;
const rig = harness();
let app: HttpWorker;
let nc: NatsConnection;

/** An application as most of Nest's users have it: CommonJS, relative imports without an ending. */
beforeAll(async () => {
  await mkdir(join(ROOT, '.cache'), { recursive: true });
  // Inside the checkout, so that the packages are found as in any application.
  built = await mkdtemp(join(ROOT, '.cache/guide-'));
  await promisify(execFile)(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', FIXTURE, '--outDir', built]);
  await copyFile(join(FIXTURE, 'package.json'), join(built, 'package.json'));
  await rig.startServer();
  app = await rig.startHttpWorker({}, join(built, 'main.js'));
  nc = await rig.connect();
});
afterAll(async () => {
  await rm(built, { recursive: true, force: true });
});

/** What the runs of a workflow returned, once there are `count` of them. */
async function results(address: string, count: number): Promise<unknown[]> {
  const jsm = await nc.jetstreamManager();
  return until(`${count} runs of ${address}`, async () => {
    const { state } = await jsm.streams.info('LOOPSTACK_EVENTS', { subjects_filter: `loopstack.event.${address}.*` });
    const last = await Promise.all(
      Object.keys(state.subjects ?? {}).map((subject) => jsm.streams.getMessage('LOOPSTACK_EVENTS', { last_by_subj: subject })),
    );
    const events = last.map(({ data }) => decodeRunEvent(data)).filter((event) => event?.type === 'succeeded');
    return events.length === count ? events.map((event) => event?.result) : undefined;
  });
}

describe("the guide's examples", () => {
  it('have its imports, to the letter', async () => {
    const files = (await readdir(join(FIXTURE, 'src'))).filter((file) => file in IMPORTS);
    expect(files.toSorted()).toEqual(Object.keys(IMPORTS).toSorted());
    for (const file of files) {
      const lines = (await readFile(join(FIXTURE, 'src', file), 'utf8')).split('\n');
      expect(lines).toEqual(expect.arrayContaining([...IMPORTS[file]!]));
    }
  });

  it('start a workflow from a controller', async () => {
    const { status, body } = await app.request('POST', '/run-my-workflow', { body: { any: ['thing'] } });
    expect({ status, body }).toEqual({ status: 201, body: { message: 'Automation run is queued.' } });
    expect(await results('MyWorkspace.MyWorkflow', 1)).toEqual([{ userId: 'user-123', payload: { any: ['thing'] } }]);
  });

  it('start a workflow from a webhook', async () => {
    const { status, body } = await app.request('POST', '/webhooks/stripe', {
      body: { id: 'evt_1', userId: 'payer' },
      headers: { 'stripe-signature': 't=1,v1=00' },
    });
    expect({ status, body }).toEqual({ status: 201, body: { received: true } });
    expect(await results('MainWorkspace.ProcessWebhookWorkflow', 1)).toEqual([
      {
        userId: 'payer',
        payload: { source: 'stripe', event: { id: 'evt_1', userId: 'payer' }, signature: 't=1,v1=00', receivedAt: expect.any(String) },
      },
    ]);
  });

  it('start a workflow for each user from a scheduled task', async () => {
    await app.request('POST', '/tasks/daily-reports');
    const reports = await results('ReportsWorkspace.DailyReportWorkflow', 2);
    expect(reports).toEqual(
      expect.arrayContaining(
        ['reader-1', 'reader-2'].map((userId) => ({ userId, payload: { reportDate: expect.any(String), reportType: 'daily' } })),
      ),
    );
  });

  it('start a workflow from a form, for the user of the token', async () => {
    const form = { firstName: 'Ada', lastName: 'Lovelace', email: 'ada@example.com', resume: 'Analyst', coverLetter: 'Hello' };
    expect(await app.request('POST', '/applications/submit', { body: form })).toMatchObject({ status: 401 });
    const { status, body } = await app.request('POST', '/applications/submit', { body: form, user: 'ada' });
    expect({ status, body }).toEqual({ status: 201, body: { message: 'Application submitted successfully', status: 'processing' } });
    expect(await results('ApplicationsWorkspace.ProcessApplicationWorkflow', 1)).toEqual([
      { userId: 'ada', payload: { applicantData: form, submittedAt: expect.any(String), source: 'web-form' } },
    ]);
  });

  it('start a workflow for each item of a batch', async () => {
    expect(await app.request('POST', '/tasks/orders')).toMatchObject({ status: 201, body: { processed: 25 } });
    const orders = (await results('OrdersWorkspace.ProcessOrderWorkflow', 25)) as { userId: string }[];
    expect(new Set(orders.map(({ userId }) => userId)).size).toBe(25);
  });
});

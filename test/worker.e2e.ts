import { createServer, type AddressInfo, type Server } from 'node:net';
import { startNatsServer } from '@loopstack/nats-server';
import { harness } from './rig/harness.js';
import { until } from './until.js';
import { JWT_SECRET, HttpWorker } from './rig/http-worker.js';

const rig = harness();
let worker: HttpWorker | undefined;

beforeAll(async () => {
  await rig.startServer();
});
afterEach(async () => {
  await worker?.stop('SIGKILL');
  worker = undefined;
});

/** What a process says that does not come up: its exit code and stderr. */
async function failure(env: Record<string, string>): Promise<{ code: number | null; stderr: string }> {
  worker = new HttpWorker({ NATS_URL: rig.url, ...env });
  const { code } = await worker.exited;
  return { code, stderr: worker.stderr };
}

describe('the worker', () => {
  it('is alive and ready without a token', async () => {
    worker = await HttpWorker.start({ NATS_URL: rig.url });
    for (const path of ['/health/live', '/health/ready']) {
      expect(await worker.request('GET', path)).toMatchObject({
        status: 200,
        body: { status: 'ok', details: { loopstack: { status: 'up' } } },
      });
    }
  });

  it('is alive and not ready while the server is away, refuses runs as errors of one shape, and recovers', async () => {
    const own = await startNatsServer();
    try {
      worker = await HttpWorker.start({ NATS_URL: own.url });
      const ready = () => worker!.request('GET', '/health/ready');
      await own.kill();
      const answer = await until('not ready', async () => {
        const got = await ready();
        return got.status === 503 ? got : undefined;
      });
      expect(answer.body).toEqual({
        statusCode: 503,
        code: 'NOT_READY',
        message: 'Not ready',
        fix: expect.any(String),
        details: { loopstack: expect.objectContaining({ status: 'down' }) },
      });
      expect(await worker.request('GET', '/health/live')).toMatchObject({ status: 200 });
      expect(await worker.request('POST', '/run-my-workflow', { body: { message: 'hello' } })).toMatchObject({
        status: 503,
        body: { statusCode: 503, code: expect.stringMatching(/^PUBLISH_/), message: expect.any(String), fix: expect.any(String) },
      });
      await own.restart();
      await until('ready again', async () => (await ready()).status === 200);
      const { body } = await worker.request('POST', '/run-my-workflow', { body: { message: 'hello again' } });
      expect(await worker.document('summaries', body['runId'] as string, 'user-123')).toMatchObject({ words: 2 });
    } finally {
      await worker?.stop('SIGKILL');
      await own.stop();
    }
  });

  it('refuses every webhook while it has no secret to check signatures with', async () => {
    worker = await HttpWorker.start({ NATS_URL: rig.url });
    expect(await worker.request('POST', '/webhooks/stripe', { body: { id: 'evt_1', userId: 'u1' } })).toMatchObject({
      status: 503,
      body: { code: 'WEBHOOK_DISABLED', fix: 'Set STRIPE_WEBHOOK_SECRET.' },
    });
  });

  it.each<NodeJS.Signals>(['SIGTERM', 'SIGINT'])('ends with exit code 0 after %s', async (signal) => {
    worker = await HttpWorker.start({ NATS_URL: rig.url });
    expect(await worker.stop(signal)).toEqual({ code: 0, signal: null });
  });

  it('logs one JSON object a line in production', async () => {
    worker = await HttpWorker.start({ NATS_URL: rig.url, NODE_ENV: 'production', JWT_ISSUER: 'i', JWT_AUDIENCE: 'a' });
    await worker.stop();
    const lines = `${worker.stdout}${worker.stderr}`.trim().split('\n');
    expect(lines.map((line) => JSON.parse(line) as object)).toContainEqual(
      expect.objectContaining({ level: 'log', context: 'Worker', message: expect.stringMatching(/^Listening at http/) }),
    );
    expect(worker.stdout + worker.stderr).not.toContain(JWT_SECRET);
  });
});

describe('a boot that cannot succeed ends with exit code 1 and a message without a stack:', () => {
  it('production without JWT_SECRET', async () => {
    expect(await failure({ NODE_ENV: 'production', JWT_SECRET: '', JWT_ISSUER: 'i', JWT_AUDIENCE: 'a' })).toEqual({
      code: 1,
      stderr: expect.stringMatching(
        /^The worker did not start\. The settings are invalid:\n {2}- JWT_SECRET: missing; production needs one of at least 32 bytes.*\n$/,
      ),
    });
  });

  it('every setting that is invalid', async () => {
    const { code, stderr } = await failure({ PORT: 'http', NATS_URL: 'nats://user:hush@', JWT_SECRET: 'hush' });
    expect(code).toBe(1);
    expect(stderr.match(/^ {2}- \w+/gm)).toEqual(['  - PORT', '  - NATS_URL', '  - JWT_SECRET']);
    expect(stderr).not.toContain('hush');
  });

  it('a port that is taken', async () => {
    const rival: Server = createServer().listen(0, '127.0.0.1');
    await until('the rival listens', () => rival.listening);
    const { port } = rival.address() as AddressInfo;
    const { code, stderr } = await failure({ PORT: String(port) });
    rival.close();
    expect(code).toBe(1);
    expect(stderr).toContain(`address already in use 127.0.0.1:${port}\nSet PORT to a free port.`);
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  it('a stream that somebody made otherwise', async () => {
    const nc = await rig.connect();
    await (await nc.jetstreamManager()).streams.add({ name: 'OTHERS_RUNS', subjects: ['others.run.*.*'], retention: 'workqueue' as never });
    await nc.close();
    const { code, stderr } = await failure({ LOOPSTACK_PREFIX: 'others' });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^The worker did not start\. stream OTHERS_RUNS exists with \w+ = /im);
    expect(stderr).not.toMatch(/\n\s+at /);
  });
});

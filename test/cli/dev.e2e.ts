import { readServerInfo } from '@loopstack/nats-server';
import { isRunning } from '../processes.js';
import { until } from '../until.js';
import { CliRig } from './rig.js';

const rig = CliRig.use('each');

const WORKER = `
import { writeFileSync } from 'node:fs';
writeFileSync('worker.json', JSON.stringify({ pid: process.pid, url: process.env.NATS_URL }));
process.on('SIGTERM', () => { writeFileSync('stopped', ''); process.exit(0); });
setInterval(() => {}, 1000);
console.log('the worker works');
`;

async function started(...args: string[]): Promise<{ url: string; pid: number; running: ReturnType<CliRig['start']> }> {
  const running = rig.start(['dev', '--json', ...args]);
  const line = await until('the server is up', () => running.stdout.split('\n').find((text) => text.startsWith('{')));
  return { ...(JSON.parse(line) as { url: string; pid: number }), running };
}

describe('loopstack dev', () => {
  it('runs a server and a worker that is connected to it, and ends both with Ctrl-C', async () => {
    await rig.file('worker.mjs', WORKER);
    const { url, pid, running } = await started('--worker', 'worker.mjs');
    await until('the worker works', () => running.stdout.includes('the worker works'));
    const worker = JSON.parse(await rig.read('worker.json')) as { pid: number; url: string };
    expect(worker.url).toBe(url);
    expect((await readServerInfo(url)).jetstream).toBe(true);
    running.signal('SIGINT');
    expect((await running.done).code).toBe(0);
    expect(await rig.read('stopped')).toBe('');
    expect(await Promise.all([pid, worker.pid].map(isRunning))).toEqual([false, false]);
  });

  it('keeps its data, and takes the next free port', async () => {
    const taken = new URL(rig.server.url).port;
    const first = await started('--no-worker', '--port', taken);
    expect(new URL(first.url).port).not.toBe(taken);
    const run = ['--server', first.url, 'schedules', 'list', '--json'];
    expect((await rig.loopstack(...run)).code).toBeLessThan(3);
    first.running.signal('SIGTERM');
    expect((await first.running.done).code).toBe(0);
    expect(await rig.read('.loopstack/nats/nats-server.log')).toContain('Server is ready');
  });

  it('ends when the worker ends, with 2 if it failed', async () => {
    await rig.file('broken.mjs', "console.error('no');\nprocess.exit(7);\n");
    const { running, pid } = await started('--worker', 'broken.mjs');
    expect(await running.done).toMatchObject({ code: 2, stderr: expect.stringContaining('no') });
    expect(await isRunning(pid)).toBe(false);
  });

  it('says what to do where there is no worker', async () => {
    const done = await rig.loopstack('dev');
    expect(done).toMatchObject({ code: 2, stdout: '' });
    expect(done.stderr).toContain('--no-worker');
  });
});

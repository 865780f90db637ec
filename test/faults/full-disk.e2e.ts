import { Publisher, JetStreamApi, StorageWatch } from '@loopstack/jetstream';
import type { LoopstackClient } from '@loopstack/client';
import { wireNames, type LoopstackError } from '@loopstack/shared';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JOB, Rig, STREAMS, held, until } from '../rig/rig.js';

const MIB = 1024 * 1024;

/** A disk of its own, which only root can have. */
class Disk {
  readonly path = mkdtempSync(join(tmpdir(), 'loopstack-disk-'));
  readonly mounted: boolean;
  readonly #filler = join(this.path, 'filler');
  readonly #end = (): void => this.remove();

  constructor(mib: number) {
    this.mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${mib}m`, 'tmpfs', this.path]).status === 0;
    process.once('exit', this.#end);
  }

  /** Leaves what a few commands need. */
  fill(mib: number): void {
    writeFileSync(this.#filler, Buffer.alloc(mib * MIB));
  }

  makeRoom(): void {
    rmSync(this.#filler);
  }

  remove(): void {
    process.removeListener('exit', this.#end);
    if (this.mounted) spawnSync('umount', ['-l', this.path]);
    rmSync(this.path, { recursive: true, force: true });
  }
}

function canMount(): boolean {
  const disk = new Disk(1);
  disk.remove();
  return disk.mounted;
}

const onlyWithMounts = canMount() ? it : it.skip;

describe('a full disk', () => {
  let disk: Disk;
  let rig: Rig;
  let client: LoopstackClient;
  beforeEach(async () => {
    disk = new Disk(32);
    // The server's own limit is beyond the disk: it is the disk that says no.
    rig = await Rig.start({
      server: { storeDir: join(disk.path, 'js'), config: 'jetstream { max_file_store: 10GB }' },
      workflows: [JOB],
      nats: { publishTimeout: '2s' },
    });
    client = await rig.producer({ publishTimeout: '2s' });
  });
  afterEach(async () => {
    await rig?.end();
    disk.remove();
  });

  const run = (bytes: number): Promise<string> =>
    client.run('Job', 'Rig', { note: 'x'.repeat(bytes) }, 'u1').then(
      ({ id }) => {
        rig.acked.push(id);
        return 'stored';
      },
      (error: LoopstackError) => `${error.code}: ${error.message}`,
    );

  onlyWithMounts('publishes, readiness and doctor report a full disk', async () => {
    const worker = await rig.worker();
    disk.fill(28);
    let answer = 'stored';
    for (let i = 0; i < 200 && answer === 'stored'; i++) answer = await run(200_000);
    expect(answer).toMatch(/^STORAGE_FAILED: Stream LOOPSTACK_RUNS stores nothing: .* its disk is full/);
    // Nothing is started any more, and nobody tells the worker: it finds out.
    const red = async (): Promise<boolean> => (await worker.ready()).problems.some((problem) => problem.includes('restart the server'));
    await until('readiness is red, with the reason and the remedy', red, 70_000);
    const watch = new StorageWatch(new JetStreamApi(rig.nc), new Publisher(rig.nc), wireNames());
    await expect(watch.probe()).rejects.toMatchObject({ code: 'STORAGE_FAILED' });

    disk.makeRoom();
    expect(await run(100)).toMatch(/^STORAGE_FAILED/);
    await rig.server.restart();
    await until('runs are stored again', async () => (await run(100)) === 'stored');
    await until('readiness is green', async () => (await worker.ready()).up, 70_000);
    await rig.settled();
    const balance = await rig.balance();
    expect(balance).toMatchObject({ lost: [], dead: 0, twiceEnded: [] });
    // What was probed with is gone.
    expect((await rig.jsm.streams.info(STREAMS.runs, { subjects_filter: 'loopstack.replay.>' })).state.subjects ?? {}).toEqual({});
    held('disk full', balance);
  });
});

import { HEADER } from '@loopstack/shared';
import { JOB, Rig, held, until, type Published } from '../rig/rig.js';
import type { WorkerProcess } from '../rig/worker-process.js';
import { spawnSync } from 'node:child_process';

const MAX_BLOCKED_MS = 2000;
const LEASE_MS = 1000;
/** What a process needs to start on a busy machine. */
const START_MS = 15_000;
const ATTEMPTS = 2;
/** Little heap, and little memory in all: what runs out of it must not be the machine. */
const SMALL = ['sh', '-c', 'ulimit -d 1048576; NODE_OPTIONS=--max-old-space-size=128 exec "$@"', 'sh'];

/** Makes a worker the first process of a PID namespace, as in a container. */
const NAMESPACE = ['unshare', '--pid', '--fork', '--kill-child'];
const onlyWithNamespaces = spawnSync(NAMESPACE[0] as string, [...NAMESPACE.slice(1), 'true']).status === 0 ? it : it.skip;

const options = { lease: LEASE_MS, retry: { attempts: ATTEMPTS, delay: '100ms' }, concurrency: 16 } as const;
const POISON = { ...JOB, name: 'Poison', options };
const HEAVY = { ...JOB, name: 'Heavy', payload: 'heavy' as const, options };
const HEALTHY = { ...JOB, name: 'Healthy', options };

/** Starts a worker again whenever it has ended. */
class Supervisor {
  readonly pids: number[] = [];
  current: WorkerProcess | undefined;
  #stopped = false;
  readonly #loop: Promise<void>;

  constructor(private readonly start: () => Promise<WorkerProcess>) {
    this.#loop = this.#keep();
  }

  static async of(start: () => Promise<WorkerProcess>): Promise<Supervisor> {
    const supervisor = new Supervisor(start);
    await until('the worker is up', () => supervisor.current !== undefined, 60_000);
    return supervisor;
  }

  async #keep(): Promise<void> {
    while (!this.#stopped) {
      const started = await this.start().catch((error: Error) => error);
      // What it consumes may end it before it has said that it is ready.
      if (started instanceof Error && started.message.includes('it ended')) continue;
      if (started instanceof Error) throw started;
      this.current = started;
      this.pids.push(this.current.pid);
      if (this.#stopped) await this.current.end();
      await this.current.exited;
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.current?.end();
    await this.#loop;
  }
}

const job = (name: string): Published => ({ workflow: 'Poison', job: { do: name as 'spin' } });
const payload = (value: object): Published => ({ workflow: 'Heavy', job: value });

describe('poison payloads', () => {
  let rig: Rig;
  const supervisors: Supervisor[] = [];
  beforeEach(async () => {
    rig = await Rig.start({ workflows: [POISON, HEAVY, HEALTHY], nats: { maxBlocked: MAX_BLOCKED_MS } });
  });
  afterEach(async () => {
    await Promise.all(supervisors.splice(0).map((supervisor) => supervisor.stop()));
    await rig?.end();
  });

  /** Two workers that are started again when they end. */
  async function supervise(): Promise<void> {
    const start = () => rig.worker({}, undefined, SMALL);
    supervisors.push(...(await Promise.all([Supervisor.of(start), Supervisor.of(start)])));
  }

  it.each([
    ['never yields', job('spin')],
    ['never yields after it has once', job('spin-later')],
    ['blocks in native code', job('block-natively')],
    ['allocates without end', job('allocate')],
    ['allocates without end outside of the heap', job('allocate-outside')],
    ['aborts the process', job('abort')],
    ['crashes natively', job('crash')],
    ['exits', job('exit')],
    ['is transformed without end', payload({ transformed: 'spin' })],
    ['is matched without end', payload({ matched: `${'a'.repeat(40)}!` })],
  ])('a workflow that %s ends as a dead letter alone', async (name, published) => {
    await supervise();
    const poison = await rig.run(published);
    const publishedAt = Date.now();
    const healthy = await rig.runs(8, { workflow: 'Healthy', job: { do: 'slow', ms: 50 } });
    const done = (): boolean => healthy.every(({ id }) => rig.journal.effects().has(id));
    await until('the neighbors have run', done, ATTEMPTS * (MAX_BLOCKED_MS + LEASE_MS + 5000 + START_MS));
    const neighborsMs = Date.now() - publishedAt;
    await rig.settled(ATTEMPTS * (MAX_BLOCKED_MS + LEASE_MS + 5000 + START_MS));
    const deadMs = Date.now() - publishedAt;
    const letters = await rig.deadLetters();
    expect(letters.map((letter) => letter.header(HEADER.RUN_ID))).toEqual([poison.id]);
    expect(letters[0]?.header(HEADER.DEAD_ATTEMPTS)).toBe(String(ATTEMPTS));
    expect(rig.journal.of(poison.id).filter(({ kind }) => kind === 'start').length).toBeLessThanOrEqual(ATTEMPTS);
    const balance = await rig.balance();
    expect(balance).toMatchObject({ executed: 8, dead: 1, lost: [], twiceEnded: [] });
    held(`a payload whose workflow ${name}`, balance, {
      'neighbors after': `${neighborsMs} ms`,
      'dead after': `${deadMs} ms`,
      reason: letters[0]?.header(HEADER.DEAD_REASON) ?? '',
      crashes: supervisors.reduce((sum, { pids }) => sum + pids.length - 1, 0),
    });
  });
});

describe('blocked processes', () => {
  const rig = Rig.use('each', { workflows: [POISON, HEALTHY], nats: { maxBlocked: MAX_BLOCKED_MS } });

  it('a blocked process names its run and is killed', async () => {
    const worker = await rig.worker();
    const run = await rig.run(job('spin'));
    expect(await worker.exited).toEqual({ code: null, signal: 'SIGKILL' });
    expect(worker.log()).toContain(`Rig~Poison, command 1, run ${run.id}`);
    expect(worker.log()).toMatch(/ at spin \(file:\/\/\S*(behaviour|program)/);
    expect(worker.log()).toContain('raise maxBlocked of NatsModule only for work that must block for longer');
  });

  it('a blocked process without lease connection is killed', async () => {
    const worker = await rig.worker({ connect: { authenticator: 'none' as never } });
    await rig.run(job('spin'));
    expect((await worker.exited).signal).toBe('SIGKILL');
  });

  it('a frozen process is not killed as blocked', async () => {
    const worker = await rig.worker();
    worker.signal('SIGSTOP');
    const until3 = Date.now() + 3 * MAX_BLOCKED_MS;
    await until('it was frozen for long enough', () => Date.now() > until3);
    worker.signal('SIGCONT');
    const run = await rig.run({ workflow: 'Healthy', job: { do: 'slow', ms: 2 * MAX_BLOCKED_MS } });
    await rig.journal.find('the run has its effect', (entry) => entry.run === run.id && entry.kind === 'effect');
    expect(worker.running).toBe(true);
  });

  it('repeated short blocks do not kill the process', async () => {
    const worker = await rig.worker();
    await rig.runs(4, { workflow: 'Healthy', job: { do: 'block', ms: MAX_BLOCKED_MS / 2 } });
    await rig.settled();
    expect(worker.running).toBe(true);
    expect(await rig.balance()).toMatchObject({ executed: 4, duplicates: 0 });
  });

  it('a process under a debugger is not killed', async () => {
    const worker = await rig.worker({}, undefined, ['env', 'NODE_OPTIONS=--inspect=127.0.0.1:0']);
    const run = await rig.run({ workflow: 'Healthy', job: { do: 'block', ms: 2 * MAX_BLOCKED_MS } });
    await rig.journal.find('the run has its effect', (entry) => entry.run === run.id && entry.kind === 'effect');
    expect(worker.running).toBe(true);
  });

  it('a blocked process keeps its run until killed', async () => {
    const brief = [{ ...HEALTHY, options: { ...options, timeout: '500ms' as const } }];
    const [first] = await Promise.all([rig.worker({ maxBlocked: '1h' }, brief), rig.worker({ maxBlocked: '1h' }, brief)]);
    const run = await rig.run({ workflow: 'Healthy', job: { do: 'block', ms: 4 * LEASE_MS } });
    await rig.settled();
    expect(first.running).toBe(true);
    expect(rig.journal.of(run.id).map(({ kind, attempt }) => `${kind} ${attempt}`)).toEqual(['start 1', 'effect 1']);
  });

  onlyWithNamespaces('a blocked first process of a container is killed', async () => {
    const worker = await rig.worker({}, undefined, NAMESPACE);
    await rig.run(job('spin'));
    expect((await worker.exited).code).toBe(137);
  });
});

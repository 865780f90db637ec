import { endWithParent, pickPort } from '@loopstack/nats-server';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const CACHE = fileURLToPath(new URL('../../.cache/redis', import.meta.url));
/** Debian's and Ubuntu's packages: the program, and the libraries that a machine without it may lack. */
const PACKAGES = ['redis-server', 'redis-tools', 'libjemalloc2', 'liblzf1', 'liblua5.1-0'];

interface Program {
  readonly path: string;
  readonly libraries: string | undefined;
}

/** redis-server on the PATH, else in the cache, else from the distribution's packages without touching the machine's own. */
async function findRedis(): Promise<Program> {
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(directory, 'redis-server');
    if (directory !== '' && existsSync(path)) return { path, libraries: undefined };
  }
  const unpacked = join(CACHE, 'root');
  if (!existsSync(join(unpacked, 'usr/bin/redis-server'))) await fetchRedis(unpacked);
  const lib = join(unpacked, 'usr/lib');
  const triplet = (await readdir(lib)).find((name) => name.endsWith('-linux-gnu')) ?? '.';
  return { path: join(unpacked, 'usr/bin/redis-server'), libraries: join(lib, triplet) };
}

/** The sources of the machine, with lists and cache of our own: no root rights are needed. Packages that are not there are left out. */
async function fetchRedis(target: string): Promise<void> {
  await mkdir(CACHE, { recursive: true });
  const root = await mkdtemp(join(CACHE, 'apt-'));
  for (const path of ['lists/partial', 'cache/archives/partial', 'state', 'root']) await mkdir(join(root, path), { recursive: true });
  const settings = {
    'Dir::State': join(root, 'state'),
    'Dir::State::lists': join(root, 'lists'),
    'Dir::Cache': join(root, 'cache'),
    'APT::Sandbox::User': '',
    'Acquire::Languages': 'none',
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  const inRoot = { cwd: root, env: { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' } };
  try {
    await run('apt-get', ['-q', ...options, 'update'], inRoot);
    for (const name of PACKAGES) {
      const wanted = run('apt-get', ['-q', ...options, 'download', name], inRoot);
      await (name.startsWith('lib') ? wanted.catch(() => undefined) : wanted);
    }
    for (const file of await readdir(root)) if (file.endsWith('.deb')) await run('dpkg-deb', ['-x', file, 'root'], inRoot);
    await rename(join(root, 'root'), target);
  } catch (cause) {
    throw new Error('there is no redis-server on the PATH, and its package could not be fetched; install redis-server', { cause });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** A redis-server with its append-only file, synced every second: what BullMQ advises for jobs that must not be lost. */
export class Redis {
  private constructor(
    readonly port: number,
    readonly version: string,
    private readonly child: ChildProcess,
    private readonly directory: string,
  ) {}

  static async start(): Promise<Redis> {
    const { path, libraries } = await findRedis();
    const env = libraries === undefined ? process.env : { ...process.env, LD_LIBRARY_PATH: libraries };
    const { stdout } = await run(path, ['--version'], { env });
    const directory = await mkdtemp(join(tmpdir(), 'loopstack-redis-'));
    const port = await pickPort();
    const settings = ['--bind', '127.0.0.1', '--dir', directory, '--save', '', '--appendonly', 'yes', '--appendfsync', 'everysec'];
    const child = spawn(path, ['--port', String(port), ...settings], { env, stdio: 'ignore' });
    endWithParent(child.pid as number);
    for (let attempt = 0; !(await answers(port)); attempt++) {
      if (attempt === 100) throw new Error('redis-server did not start');
      await delay(50);
    }
    return new Redis(port, /v=(\S+)/.exec(stdout)?.[1] ?? stdout.trim(), child, directory);
  }

  get pid(): number {
    return this.child.pid as number;
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill();
    await ended;
    await rm(this.directory, { recursive: true, force: true });
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => socket.end(() => resolve(true)));
    socket.once('error', () => resolve(false));
  });
}

import { fetchPackage } from '@loopstack/nats-server';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const cache = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '.cache', 'libfaketime');

/** libfaketime of the distribution; fetched once, by any number of test files at a time. @throws Error where there is none */
async function libfaketime(): Promise<string> {
  const library = join(cache, 'libfaketime.so.1');
  if (existsSync(library)) return library;
  await mkdir(cache, { recursive: true });
  const directory = await mkdtemp(join(cache, 'fetch-'));
  try {
    const fetched = join(directory, 'library');
    const isFile = (path: string): boolean => path.endsWith('/faketime/libfaketime.so.1');
    // Of the machine's own suite: it is linked with the machine's libc.
    await fetchPackage(fetched, directory, process.env, () => undefined, { name: 'libfaketime', isFile, suite: 'own' });
    await rename(fetched, library);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  return library;
}

/**
 * A wall clock for child processes, which a test sets while they run. As in the world, only the wall clock is set: what the kernel counts
 * since its start (CLOCK_MONOTONIC, and Node's timers with it) goes on.
 */
export class FakeClock {
  private constructor(
    private readonly file: string,
    /** For the environment of the process. */
    readonly env: Readonly<Record<string, string>>,
  ) {}

  /** @param offset such as `+1h` or `-1h`; default: the machine's time */
  static async create(home: string, offset = '+0'): Promise<FakeClock> {
    const file = join(await mkdtemp(join(home, 'clock-')), 'offset');
    const clock = new FakeClock(file, {
      LD_PRELOAD: await libfaketime(),
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      // The name depends on the version.
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
    });
    await clock.set(offset);
    return clock;
  }

  /** A command that runs another one with this clock. */
  get wrapper(): readonly string[] {
    return ['env', ...Object.entries(this.env).map(([name, value]) => `${name}=${value}`)];
  }

  /** Sets the clock, relative to the machine's. */
  async set(offset: string): Promise<void> {
    await writeFile(`${this.file}.new`, `${offset}\n`);
    await rename(`${this.file}.new`, this.file);
  }
}

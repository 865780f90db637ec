import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { findNatsServer } from './find.js';

/** A program that says it is a nats-server. */
const program = (version: string) => `#!/bin/sh\necho "nats-server: v${version}"\n`;

/** A tar archive of one file, as `tar` writes it. */
function tarOf(path: string, content: string): Buffer {
  const header = Buffer.alloc(512);
  header.write(path, 0);
  header.write('0000755\0', 100);
  header.write(`${Buffer.byteLength(content).toString(8).padStart(11, '0')}\0`, 124);
  header.write('0', 156);
  const body = Buffer.alloc(Math.ceil(Buffer.byteLength(content) / 512) * 512);
  body.write(content);
  return Buffer.concat([header, body, Buffer.alloc(1024)]);
}

/** An apt-get that notes its calls, with the source it was given, and serves every suite that is not in BROKEN. */
const APT_GET = `
const { appendFileSync, existsSync, readFileSync, writeFileSync } = require('node:fs');
const args = process.argv.slice(2);
const source = existsSync('sources.list') ? readFileSync('sources.list', 'utf8').trim() : '';
appendFileSync(process.env.CALLS, ['apt-get', ...args].join(' ') + (source && ' <' + source + '> in ' + process.cwd()) + '\\n');
if (args.includes('--print-uris')) {
  for (const suite of ['debian/dists/bookworm', 'debian/dists/bookworm-updates', 'debian-security/dists/bookworm-security'])
    console.log("'http://archive.test/" + suite + "/InRelease' archive.test_InRelease 0 ");
} else if ((process.env.BROKEN ?? '').split(' ').some((suite) => suite !== '' && source.includes(' ' + suite + ' '))) {
  console.error('E: The repository is not signed.'.replace('repository', 'repository ' + source));
  process.exitCode = 100;
} else if (args.includes('download')) writeFileSync('nats-server_2.15.1-1_amd64.deb', '');
`;

const DPKG_DEB = `
const { appendFileSync, copyFileSync, chmodSync, mkdirSync } = require('node:fs');
appendFileSync(process.env.CALLS, ['dpkg-deb', ...process.argv.slice(2)].join(' ') + ' in ' + process.cwd() + '\\n');
mkdirSync('unpacked/usr/sbin', { recursive: true });
copyFileSync(process.env.PROGRAM, 'unpacked/usr/sbin/nats-server');
chmodSync('unpacked/usr/sbin/nats-server', 0o755);
`;

const platform = `${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`;

describe('findNatsServer', () => {
  let directory: string;
  let cacheDir: string;
  let releases: Server | undefined;
  /** Neither a nats-server nor an apt-get; scripts still find their shell by its path. */
  const env = { PATH: '' };

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'loopstack-test-'));
    cacheDir = join(directory, 'cache');
  });
  afterEach(async () => {
    releases?.closeAllConnections();
    releases?.close();
    releases = undefined;
    await rm(directory, { recursive: true });
  });

  async function install(at: string, version: string): Promise<string> {
    await mkdir(at, { recursive: true });
    await writeFile(join(at, 'nats-server'), program(version));
    await chmod(join(at, 'nats-server'), 0o755);
    return join(at, 'nats-server');
  }

  /** Serves a release whose checksums are those of `listed`, and gives its URL. */
  async function serveRelease(served: Buffer, listed = served, line = (sum: string, name: string) => `${sum}  ${name}\n`) {
    const requests: string[] = [];
    releases = createServer((request, response) => {
      const name = request.url!.split('/').at(-1)!;
      requests.push(name);
      if (name !== 'SHA256SUMS') return void response.end(served);
      const version = /v([\d.]+)\//.exec(request.url!)![1];
      const sum = createHash('sha256').update(listed).digest('hex');
      response.end(
        `${'0'.repeat(64)}  nats-server-v${version}-plan9-amd64.zip\n${line(sum, `nats-server-v${version}-${platform}.tar.gz`)}`,
      );
    }).listen(0, '127.0.0.1');
    await once(releases, 'listening');
    const address = releases.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return { releasesUrl: `http://127.0.0.1:${address.port}`, requests };
  }

  const archive = (version: string) => gzipSync(tarOf(`nats-server-v${version}-${platform}/nats-server`, program(version)));

  it('takes the one on the PATH first', async () => {
    const path = await install(join(directory, 'bin'), '2.12.0');
    await install(join(cacheDir, '2.15.1'), '2.15.1');
    expect(await findNatsServer({ cacheDir, env: { PATH: `/nowhere:${directory}/bin` } })).toEqual({
      path,
      version: '2.12.0',
      origin: 'PATH',
    });
  });

  it('passes over one that is too old or does not run, and says so', async () => {
    await install(join(directory, 'old'), '2.11.9');
    await mkdir(join(directory, 'broken'));
    await writeFile(join(directory, 'broken/nats-server'), '#!/nowhere\n', { mode: 0o755 });
    const newest = await install(join(cacheDir, '2.15.1'), '2.15.1');
    await install(join(cacheDir, '2.9.9'), '2.9.9');
    const said: string[] = [];
    const found = await findNatsServer({
      cacheDir,
      env: { PATH: `${directory}/old:${directory}/broken` },
      onProgress: (message) => said.push(message),
    });
    expect(found).toEqual({ path: newest, version: '2.15.1', origin: 'cache' });
    expect(said).toEqual([expect.stringContaining('is 2.11.9, 2.12.0 or later'), expect.stringContaining('does not run')]);
  });

  it('fetches the release once and keeps it in the cache', async () => {
    const { releasesUrl, requests } = await serveRelease(archive('2.15.1'));
    const found = await findNatsServer({ cacheDir, env, releasesUrl });
    expect(found).toEqual({ path: join(cacheDir, '2.15.1/nats-server'), version: '2.15.1', origin: 'release' });
    expect(requests).toEqual(['SHA256SUMS', expect.stringContaining(platform)]);
    expect(await findNatsServer({ cacheDir, env, releasesUrl })).toEqual({ ...found, origin: 'cache' });
    expect(requests).toHaveLength(2);
    expect(await readdir(cacheDir)).toEqual(['2.15.1']);
  });

  it('replaces a cached one that does not run', async () => {
    await mkdir(join(cacheDir, '2.15.1'), { recursive: true });
    await writeFile(join(cacheDir, '2.15.1/nats-server'), 'half a program', { mode: 0o755 });
    const { releasesUrl } = await serveRelease(archive('2.15.1'));
    expect(await findNatsServer({ cacheDir, env, releasesUrl })).toMatchObject({ version: '2.15.1', origin: 'release' });
  });

  it('gives every one of several at once a whole program', async () => {
    const { releasesUrl } = await serveRelease(archive('2.15.1'));
    const found = await Promise.all([1, 2, 3, 4].map(() => findNatsServer({ cacheDir, env, releasesUrl })));
    expect(new Set(found.map(({ path }) => path))).toEqual(new Set([join(cacheDir, '2.15.1/nats-server')]));
    expect(await readdir(cacheDir)).toEqual(['2.15.1']);
  });

  it.each([
    ['was tampered with', archive('2.15.1'), archive('2.15.2'), undefined, /SHA-256 [0-9a-f]{64}, the release says [0-9a-f]{64}/],
    ['is not in the list of checksums', archive('2.15.1'), undefined, () => '', /there is no nats-server-v.*\.tar\.gz in the release/],
    ['holds no server', gzipSync(tarOf('README.md', 'hello')), undefined, undefined, /no nats-server in/],
    ['is too old', archive('2.11.0'), undefined, undefined, /it is 2\.11\.0/],
  ])('keeps nothing of an archive that %s', async (_, served, listed, line, problem) => {
    const { releasesUrl } = await serveRelease(served, listed, line);
    await expect(findNatsServer({ cacheDir, env, releasesUrl })).rejects.toThrow(problem);
    expect(await readdir(cacheDir)).toEqual([]);
  });

  describe('with apt', () => {
    let bin: string;
    const calls = async () => (await readFile(join(directory, 'calls'), 'utf8')).trim().split('\n');

    beforeEach(async () => {
      bin = join(directory, 'bin');
      await mkdir(bin);
      await writeFile(join(bin, 'apt-get'), `#!${process.execPath}\n${APT_GET}`, { mode: 0o755 });
      await writeFile(join(bin, 'dpkg-deb'), `#!${process.execPath}\n${DPKG_DEB}`, { mode: 0o755 });
      await writeFile(join(bin, 'program'), program('2.15.1'));
    });

    const find = (more: NodeJS.ProcessEnv = {}) =>
      findNatsServer({
        cacheDir,
        releasesUrl: 'http://127.0.0.1:1',
        env: { PATH: bin, CALLS: join(directory, 'calls'), PROGRAM: join(bin, 'program'), ...more },
      });

    it("takes the package from the machine's archive, in a root of its own and with its keys, and leaves only the program", async () => {
      expect(await find()).toEqual({ path: join(cacheDir, '2.15.1/nats-server'), version: '2.15.1', origin: 'apt' });
      expect(await readdir(cacheDir)).toEqual(['2.15.1']);
      const [look, ...made] = await calls();
      expect(look).toBe('apt-get update --print-uris');
      const updates = made.filter((call) => call.includes(' update'));
      // Neither the security archive nor one of somebody else.
      for (const call of updates)
        expect(call).toMatch(/^apt-get -c \S+ -q update <deb (\[signed-by=\S+\] )?http:\/\/archive\.test\/debian (forky|sid|devel) main/);
      for (const call of made) expect(call).toContain(`${cacheDir}/fetch-`);
      expect(made.at(-1)).toContain('dpkg-deb -x nats-server_2.15.1-1_amd64.deb');
    });

    it('tries the next suite when one does not have it, and says what was wrong with all', async () => {
      const failure = await find({ BROKEN: 'forky sid devel' }).catch((error: Error) => error.message);
      expect(failure).toMatch(/a Debian or Ubuntu package: .*E: The repository .* is not signed/);
      expect(await readdir(cacheDir)).toEqual([]);
      const { origin } = await find({ BROKEN: 'forky' });
      expect(origin).toBe('apt');
    });
  });

  it('says within seconds what to do when nothing answers', async () => {
    releases = createServer(() => {}).listen(0, '127.0.0.1');
    await once(releases, 'listening');
    const { port } = releases.address() as { port: number };
    const start = Date.now();
    const failure = await findNatsServer({ cacheDir, env, releasesUrl: `http://127.0.0.1:${port}` }).catch((error: Error) => error.message);
    expect(Date.now() - start).toBeLessThan(10_000);
    for (const part of ['the PATH', 'the cache', 'the official release', 'apt-get', 'NATS_URL', 'docker compose', cacheDir])
      expect(failure).toContain(part);
  });
});

// The distribution's own package, of a newer suite than the machine runs, through a private apt root: the machine's
// sources, lists, cache and packages stay as they are, and no root rights are needed. The program is self-contained
// (libc 2.34 or later), so a package of Debian's testing suite runs on older Debian and Ubuntu.

import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const COMMAND_TIMEOUT_MS = 180_000;
const KEYRINGS = '/usr/share/keyrings';

/**
 * @typedef {object} Wanted
 * @property {string} name of the package
 * @property {(path: string) => boolean} isFile whether a path, from the root of the package, is that of the file to take
 * @property {'newest' | 'own'} suite `own`: that of the machine, for what depends on its libraries
 */

/** @type {Wanted} */
const NATS_SERVER = { name: 'nats-server', isFile: (path) => path === 'usr/sbin/nats-server', suite: 'newest' };

/**
 * Writes a file of a package, by default the program of nats-server.
 *
 * @param {string} target path of the file to write
 * @param {string} directory an empty directory to work in, which the caller removes
 * @param {NodeJS.ProcessEnv} env
 * @param {(message: string) => void} onProgress
 * @param {Wanted} [wanted]
 * @throws {Error} when no suite had it
 */
export async function fetchPackage(target, directory, env, onProgress, wanted = NATS_SERVER) {
  const { suites, components } = await distribution(wanted.suite);
  const sites = await sitesOf(env);
  if (sites.length === 0) throw new Error('apt-get has no sources');
  const keyrings = await archiveKeyrings();
  const problems = [];
  for (const site of sites) {
    for (const suite of suites) {
      try {
        onProgress(`taking the package ${wanted.name} from ${withoutLogin(site)} ${suite}`);
        const options = keyrings.length > 0 ? `[signed-by=${keyrings.join(',')}] ` : '';
        await download(`deb ${options}${site} ${suite} ${components}`, await emptyRoot(directory), wanted, target, env);
        return;
      } catch (error) {
        problems.push(`${suite}: ${withoutLogin(lastLine(error))}`);
      }
    }
  }
  throw new Error(problems.join('; '));
}

/**
 * Suites, newest first or the machine's own, with the components that hold what is wanted there.
 *
 * @param {Wanted['suite']} suite
 */
async function distribution(suite) {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const isUbuntu = /^ID(_LIKE)?=.*ubuntu/m.test(release);
  const components = isUbuntu ? 'main universe' : 'main';
  const own = /^VERSION_CODENAME="?([a-z]+)/m.exec(release)?.[1];
  if (suite === 'own' && own !== undefined) return { suites: [own], components };
  return { suites: isUbuntu ? ['devel'] : ['forky', 'sid'], components };
}

/**
 * The archives that this machine uses already. `--print-uris` names them also where no index was ever downloaded
 * (`apt-get indextargets` does not), and downloads nothing.
 *
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<string[]>}
 */
async function sitesOf(env) {
  const { stdout } = await run('apt-get', ['update', '--print-uris'], { env, timeout: COMMAND_TIMEOUT_MS });
  const sites = [...stdout.matchAll(/^'(\S+?)\/?\/dists\/[^']*\/InRelease'/gm)].map((match) => match[1] ?? '');
  return [...new Set(sites)].filter((site) => !/security/.test(site));
}

/** The archive keys that the machine trusts; with none of these names, apt falls back on its trusted.gpg.d. */
async function archiveKeyrings() {
  const files = await readdir(KEYRINGS).catch(() => []);
  return files.filter((file) => /^(debian|ubuntu)-archive-(?!removed).*\.(gpg|pgp|asc)$/.test(file)).map((file) => join(KEYRINGS, file));
}

/** @param {string} directory */
async function emptyRoot(directory) {
  const root = join(directory, `apt-${Math.random().toString(36).slice(2, 14)}`);
  for (const path of ['state', 'lists/partial', 'cache/archives/partial', 'unpacked']) await mkdir(join(root, path), { recursive: true });
  return root;
}

/**
 * @param {string} source a line of a sources.list
 * @param {string} root
 * @param {Wanted} wanted
 * @param {string} target
 * @param {NodeJS.ProcessEnv} machineEnv
 */
async function download(source, root, wanted, target, machineEnv) {
  await writeFile(join(root, 'sources.list'), `${source}\n`);
  await writeFile(join(root, 'apt.conf'), configuration(root));
  const apt = ['-c', join(root, 'apt.conf'), '-q'];
  const options = { cwd: root, timeout: COMMAND_TIMEOUT_MS, env: { ...machineEnv, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' } };
  await run('apt-get', [...apt, 'update'], options);
  await run('apt-get', [...apt, 'download', wanted.name], options);
  const archive = (await readdir(root)).find((file) => file.endsWith('.deb'));
  if (archive === undefined) throw new Error('nothing was downloaded');
  await run('dpkg-deb', ['-x', archive, 'unpacked'], options);
  await mkdir(dirname(target), { recursive: true });
  const files = await readdir(join(root, 'unpacked'), { recursive: true });
  const file = files.find((path) => wanted.isFile(path));
  if (file === undefined) throw new Error(`the package ${wanted.name} has not the file`);
  await rename(join(root, 'unpacked', file), target);
}

/**
 * Read after the machine's configuration, whose proxies stay valid and whose hooks (which would clean the machine's own
 * cache) do not.
 *
 * @param {string} root
 */
function configuration(root) {
  return `
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear Acquire::Languages;
Acquire::Languages "none";
Acquire::Retries "1";
Acquire::http::Timeout "15";
Acquire::https::Timeout "15";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
APT::Get::AllowUnauthenticated "false";
APT::Update::Error-Mode "any";
APT::Sandbox::User "";
Dir::State "${root}/state";
Dir::State::lists "${root}/lists";
Dir::State::status "/dev/null";
Dir::Cache "${root}/cache";
Dir::Log "${root}";
Dir::Etc::sourcelist "${root}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
`;
}

/** @param {unknown} error */
function lastLine(error) {
  const { stderr, message } = /** @type {Error & { stderr?: string }} */ (error);
  return (stderr || message).trim().split('\n').at(-1) ?? '';
}

/** @param {string} text */
function withoutLogin(text) {
  return text.replace(/\/\/[^\s/@]*@/g, '//');
}

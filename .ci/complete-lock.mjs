// Completes the lock files after an `npm install` against a registry that lacks some platforms' builds of a native
// package (a mirror that lags behind). npm leaves such an optional package out of the lock file without a word, and from
// then on `npm ci` refuses the lock file on every machine. The entries added here carry no integrity; npm fills it in when
// it installs such a package from a registry that has it.
//
//   node .ci/complete-lock.mjs          adds what is missing
//   node .ci/complete-lock.mjs --check  names what is missing, and fails

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FILES = ['../package-lock.json', '../test/bench/package-lock.json'].map((file) => fileURLToPath(new URL(file, import.meta.url)));
const SYSTEMS = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32'];
const PROCESSORS = ['arm', 'arm64', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'x64'];

/**
 * @param {Record<string, { version?: string, dev?: boolean, license?: string, optionalDependencies?: Record<string, string> }>} packages
 *   of a lock file
 * @returns {[path: string, entry: object][]} what is missing
 */
export function missingEntries(packages) {
  return Object.entries(packages).flatMap(([path, dependent]) =>
    Object.entries(dependent.optionalDependencies ?? {})
      .filter(([name]) => !isResolved(packages, path, name))
      .map(([name, version]) => entryFor(dependent, name, version)),
  );
}

/** As Node resolves: beside the dependent, or in any node_modules above it. */
function isResolved(packages, path, name) {
  const levels = path.split('/node_modules/').map((_, i, parts) => `${parts.slice(0, i + 1).join('/node_modules/')}/`);
  return ['', ...levels].some((level) => packages[`${level}node_modules/${name}`] !== undefined);
}

function entryFor(dependent, name, version) {
  const words = name.split(/[/-]/);
  const libc = words.includes('musl') ? ['musl'] : words.some((word) => word.startsWith('gnu')) ? ['glibc'] : undefined;
  const os = SYSTEMS.filter((system) => words.includes(system));
  const cpu = PROCESSORS.filter((processor) => words.includes(processor));
  if (os.length !== 1 || cpu.length !== 1) throw new Error(`${name} names no platform: install it where the registry has it`);
  const entry = { version, cpu, dev: dependent.dev, libc, license: dependent.license, optional: true, os };
  return [`node_modules/${name}`, entry];
}

if (fileURLToPath(import.meta.url) === process.argv[1]) {
  for (const file of FILES.filter((name) => existsSync(name))) {
    const lock = JSON.parse(readFileSync(file, 'utf8'));
    const missing = missingEntries(lock.packages);
    for (const [path] of missing) console.log(path);
    if (missing.length === 0) continue;
    if (process.argv.includes('--check')) {
      process.exitCode = 1;
      continue;
    }
    const all = Object.entries({ ...lock.packages, ...Object.fromEntries(missing) });
    lock.packages = Object.fromEntries(all.toSorted(([a], [b]) => a.localeCompare(b, 'en')));
    writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
  }
}

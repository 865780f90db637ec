// The official release archive, checked against the checksums published with it.

import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';

/** The release that is fetched; it was tested with this project. */
const RELEASE = '2.15.1';
export const RELEASES_URL = 'https://github.com/nats-io/nats-server/releases/download';

// A machine without a way out should notice soon; a slow one should still get its 7 MB.
const ANSWER_TIMEOUT_MS = 5_000;
const DOWNLOAD_TIMEOUT_MS = 180_000;

/** Node's names of processor architectures that differ from the archives'. */
/** @type {Record<string, string>} */
const ARCHITECTURES = { x64: 'amd64', ia32: '386', arm: 'arm7', ppc64: 'ppc64le' };

/**
 * Writes the release's program to a file.
 *
 * @param {string} target path of the program to write
 * @param {string} releasesUrl
 * @throws {Error} without an answer, with a checksum that differs, or when there is no archive for this machine
 */
export async function fetchRelease(target, releasesUrl) {
  if (process.platform === 'win32') throw new Error('Windows archives are not unpacked');
  const archive = `nats-server-v${RELEASE}-${process.platform}-${ARCHITECTURES[process.arch] ?? process.arch}.tar.gz`;
  const base = `${releasesUrl}/v${RELEASE}`;
  const sums = (await get(`${base}/SHA256SUMS`, ANSWER_TIMEOUT_MS)).toString();
  const expected = checksumOf(archive, sums);
  if (expected === undefined) throw new Error(`there is no ${archive} in the release`);

  const bytes = await get(`${base}/${archive}`, DOWNLOAD_TIMEOUT_MS);
  const actual = createHash('sha256').update(bytes).digest('hex');
  if (actual !== expected) throw new Error(`${archive} has SHA-256 ${actual}, the release says ${expected}`);
  const program = fileFromTar(await promisify(gunzip)(bytes), 'nats-server');
  if (program === undefined) throw new Error(`there is no nats-server in ${archive}`);
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, program, { mode: 0o755 });
}

/**
 * @param {string} url
 * @param {number} timeoutMs for the whole answer
 */
async function get(url, timeoutMs) {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    return Buffer.from(await response.arrayBuffer());
  } catch (error) {
    const { message, cause } = /** @type {Error & { cause?: NodeJS.ErrnoException }} */ (error);
    throw new Error(`${url}: ${cause?.code ?? message}`, { cause: error });
  }
}

/**
 * @param {string} file
 * @param {string} sums lines of `<hex>  <file>`
 */
function checksumOf(file, sums) {
  const line = sums
    .split('\n')
    .map((l) => l.trim().split(/\s+\*?/))
    .find(([, name]) => name === file);
  return line?.[0]?.toLowerCase();
}

/**
 * One regular file of a tar archive, by its base name. Nothing is written by names that the archive gives.
 *
 * @param {Buffer} tar
 * @param {string} name
 * @returns {Buffer | undefined}
 */
function fileFromTar(tar, name) {
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0;) {
    const path = tar.toString('utf8', at, at + 100).replace(/\0.*$/s, '');
    const size = Number.parseInt(tar.toString('ascii', at + 124, at + 136), 8);
    const isRegular = tar[at + 156] === 0 || tar[at + 156] === 0x30;
    if (isRegular && path.split('/').at(-1) === name) return tar.subarray(at + 512, at + 512 + size);
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return undefined;
}

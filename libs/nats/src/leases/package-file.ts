import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { leasesUrl } from '#leases-url';
import { LoopstackError } from '@loopstack/shared/contract';

/**
 * A file that is loaded by its path and that a bundler therefore leaves behind.
 * @throws LoopstackError BOOT_FAILED
 */
export function packageFile(name: string): URL {
  const file = new URL(name, leasesUrl);
  if (existsSync(file)) return file;
  const problems = `${fileURLToPath(file)} is missing, as @loopstack/nats is in a bundle: leave it out (esbuild: external: ['@loopstack/*'], webpack: externals), or build @loopstack/nats/lease-thread as an entry of its own, named lease-thread.js, beside the bundle`;
  throw new LoopstackError('BOOT_FAILED', { problems });
}

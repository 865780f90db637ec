import { existsSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { LoopstackError } from '@loopstack/shared/contract';

/** Of a CommonJS module; a bundler may have made one of this package. */
declare const __filename: string | undefined;

/** Where this package's files are, as a `file:` URL: `import.meta.url`, which bundles in CommonJS have not. */
function packageUrl(): string {
  const url = import.meta.url as string | undefined;
  if (url !== undefined) return url;
  return pathToFileURL(__filename as string).href;
}

/**
 * A file that is loaded by its path and that a bundler therefore leaves behind.
 * @throws LoopstackError BOOT_FAILED
 */
export function packageFile(name: string): URL {
  const file = new URL(name, packageUrl());
  if (existsSync(file)) return file;
  const problems = `${fileURLToPath(file)} is missing, as @loopstack/nats is in a bundle: leave it out (esbuild: external: ['@loopstack/*'], webpack: externals), or build @loopstack/nats/lease-thread as an entry of its own, named lease-thread.js, beside the bundle`;
  throw new LoopstackError('BOOT_FAILED', { problems });
}

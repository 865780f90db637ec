import { createRequire } from 'node:module';
import { packageUrl } from '#package-url';
import { getFromContainer } from 'class-validator';
import { Type } from 'class-transformer';
import type { MetadataStorage as TransformStorage } from 'class-transformer/types/MetadataStorage.js';
import type { ValidationExecutor } from 'class-validator/types/validation/ValidationExecutor.js';

/*
 * Two things that the libraries have but do not export. Both packages are CommonJS, so `require` by path gives the very
 * module that their front door uses. A bundler or another layout can break that, so each is proved before it is
 * trusted; without them everything still works, by the libraries' public functions alone.
 */
const requireFile = attempt(() => createRequire(packageUrl));

/** class-transformer's metadata (`@Type`, `@Transform`, `@Expose`, `@Exclude`), or undefined when it cannot be reached. */
export const transformStorage: TransformStorage | undefined = attempt(() => {
  const { defaultMetadataStorage } = load('class-transformer/cjs/storage.js') as { defaultMetadataStorage: TransformStorage };
  class Probe {}
  Type(() => Probe)(Probe.prototype, 'probe');
  return defaultMetadataStorage.findTypeMetadata(Probe, 'probe') ? defaultMetadataStorage : undefined;
});

/**
 * class-validator's executor: unlike `validateSync` it tells whether a check gave a promise, and unlike `validate` it
 * needs none when no check did.
 */
export const Executor: typeof ValidationExecutor | undefined = attempt(() => {
  const container = load('class-validator/cjs/container.js') as { getFromContainer: unknown };
  const found = load('class-validator/cjs/validation/ValidationExecutor.js') as { ValidationExecutor: typeof ValidationExecutor };
  return container.getFromContainer === getFromContainer ? found.ValidationExecutor : undefined;
});

function load(file: string): unknown {
  if (requireFile === undefined) throw new Error('this package does not know where it is');
  return requireFile(file);
}

/** A file of a library as the process has loaded it. */
interface LoadedFile {
  readonly path: string;
  readonly exports: Readonly<Record<string, unknown>>;
}

/** Every copy of a library's file that is loaded, and the path of the one that this package gets. */
export function loaded(file: string): { readonly own: string | undefined; readonly all: readonly LoadedFile[] } {
  const suffix = new RegExp(`[\\\\/]node_modules[\\\\/]${file.replaceAll('.', '\\.').replaceAll('/', '[\\\\/]')}$`);
  const all = Object.entries(requireFile?.cache ?? {}).flatMap(([path, module]) =>
    module !== undefined && suffix.test(path) ? [{ path, exports: module.exports as LoadedFile['exports'] }] : [],
  );
  return { own: attempt(() => requireFile?.resolve(file)), all };
}

export function attempt<T>(find: () => T | undefined): T | undefined {
  try {
    return find();
  } catch {
    return undefined;
  }
}

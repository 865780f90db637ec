import { getMetadataStorage } from 'class-validator';
import { loaded, transformStorage } from './libraries.js';

/** A payload class, or one that it extends. */
type Class = abstract new (...args: never[]) => object;

/** What class-transformer has of each class; private there, and the same since 0.3. */
const TRANSFORM_TABLES = ['_typeMetadatas', '_transformMetadatas', '_exposeMetadatas', '_excludeMetadatas'] as const;

/**
 * Says where a payload class was decorated by another copy of class-validator or class-transformer than the one that checks it: what that
 * copy knows is not seen here, so that payloads are refused, or accepted unchecked, without a word.
 */
export function foreignDecorators(cls: Class): string | undefined {
  const lineage = lineageOf(cls);
  const types = copies('class-transformer/cjs/storage.js', ({ defaultMetadataStorage: storage }) => storage === transformStorage);
  const typed = types.others.find(({ exports }) => lineage.some((type) => knows(exports['defaultMetadataStorage'], type)));
  if (typed) return problem('class-transformer', typed.path, types.own);
  const rules = copies('class-validator/cjs/metadata/ValidationMetadata.js', ({ ValidationMetadata: made }) => made !== undefined);
  if (rules.others.length === 0) return undefined;
  const makers = new Set(
    getMetadataStorage()
      .getTargetValidationMetadatas(cls, '', true, false)
      .map((metadata) => (metadata as object).constructor as unknown),
  );
  const ruled = rules.others.find(({ exports }) => makers.has(exports['ValidationMetadata']));
  return ruled && problem('class-validator', ruled.path, rules.own);
}

interface Copy {
  readonly path: string;
  readonly exports: Readonly<Record<string, unknown>>;
}

/** The copy that this package uses, and all others that the process has loaded. */
function copies(file: string, isOwn: (exports: Copy['exports']) => boolean): { own: string | undefined; others: readonly Copy[] } {
  const { own, all } = loaded(file);
  const mine = all.find(({ path }) => path === own) ?? all.find(({ exports }) => isOwn(exports));
  return { own: mine?.path, others: all.filter((copy) => copy !== mine) };
}

function knows(storage: unknown, type: Class): boolean {
  const tables = storage as Readonly<Record<string, ReadonlyMap<unknown, unknown> | undefined>> | undefined;
  return TRANSFORM_TABLES.some((table) => tables?.[table]?.has(type) === true);
}

function lineageOf(cls: Class): readonly Class[] {
  const lineage: Class[] = [];
  for (let type: unknown = cls; typeof type === 'function' && type !== Function.prototype; type = Object.getPrototypeOf(type)) {
    lineage.push(type as Class);
  }
  return lineage;
}

function problem(library: string, theirs: string, ours: string | undefined): string {
  return `its decorators are of another copy of ${library} than the one that checks payloads: ${theirs} and ${ours ?? 'one that cannot be named'}; keep one (npm ls ${library}, npm dedupe)`;
}

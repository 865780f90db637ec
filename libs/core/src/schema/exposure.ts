import { TransformationType } from 'class-transformer';
import type { MetadataStorage } from 'class-transformer/types/MetadataStorage.js';
import type { Class } from '../validation/plan.js';

/** How the keys of a payload come to the properties of a class, by `@Expose` and `@Exclude`. */
export interface Exposure {
  /** By property: the keys that are read into it. Of two, the last one in the payload counts. */
  readonly keys: ReadonlyMap<string, readonly string[]>;
  /** Keys that are dropped without a word. */
  readonly dropped: readonly string[];
  /** Every key that is not named is dropped: the class has `@Exclude()`. */
  readonly dropsOthers: boolean;
}

/** Follows the `getKeys` of class-transformer's executor, for `plainToInstance` without options. */
export function exposureOf(storage: MetadataStorage, cls: Class, properties: readonly string[]): Exposure {
  const toClass = TransformationType.PLAIN_TO_CLASS;
  const exposed = storage.getExposedProperties(cls, toClass);
  const excluded = storage.getExcludedProperties(cls, toClass);
  const all = storage.getExposedMetadatas(cls);
  const nameOf = (property: string): string => storage.findExposeMetadata(cls, property)?.options?.name || property;
  const dropsOthers = storage.getStrategy(cls) === 'excludeAll';
  const listed = new Set(exposed.map(nameOf));

  const keys = new Map<string, string[]>();
  const dropped: string[] = [];
  const names = [...properties, ...excluded, ...all.flatMap(({ propertyName, options }) => [propertyName as string, options?.name ?? ''])];
  for (const key of new Set(names.filter((name) => name !== ''))) {
    const grouped = (storage.findExposeMetadata(cls, key)?.options?.groups ?? []).length > 0;
    if (excluded.includes(key) || grouped || (dropsOthers && !listed.has(key))) {
      dropped.push(key);
      continue;
    }
    const property = storage.findExposeMetadataByCustomName(cls, key)?.propertyName ?? key;
    keys.set(property, [...(keys.get(property) ?? []), key]);
  }
  return { keys, dropped, dropsOthers };
}

import { getMetadataStorage } from 'class-validator';
import type { ValidatorConstraintInterface } from 'class-validator';
import type { ConstraintMetadata } from 'class-validator/types/metadata/ConstraintMetadata.js';
import type { MetadataStorage } from 'class-validator/types/metadata/MetadataStorage.js';
import type { ValidationMetadata } from 'class-validator/types/metadata/ValidationMetadata.js';
import { BUILT_IN_RULES } from './rules.js';

type Storage = Pick<MetadataStorage, 'getTargetValidationMetadatas' | 'groupByPropertyName' | 'getTargetValidatorConstraints'>;

/**
 * class-validator's metadata for its executor, remembered by class. The library goes through every decorated class of
 * the application for every object, and through every rule ever used for every check: with a thousand payload classes
 * it validates some hundred payloads per second, and far more with this.
 */
export const rememberedMetadata: Storage = {
  getTargetValidationMetadatas(cls, schema, always, strictGroups, groups) {
    const bySchema = entry(metadatas, cls, () => new Map<string | undefined, ValidationMetadata[]>());
    const known = bySchema.get(schema);
    if (known) return known;
    const found = getMetadataStorage().getTargetValidationMetadatas(cls, schema, always, strictGroups, groups);
    bySchema.set(schema, found);
    return found;
  },
  groupByPropertyName(list) {
    return entry(grouped, list, () => getMetadataStorage().groupByPropertyName(list));
  },
  getTargetValidatorConstraints(cls) {
    return entry(constraints, cls, () => getMetadataStorage().getTargetValidatorConstraints(cls).map(withInstance));
  },
};

const metadatas = new WeakMap<object, Map<string | undefined, ValidationMetadata[]>>();
const grouped = new WeakMap<object, Record<string, ValidationMetadata[]>>();
const constraints = new WeakMap<object, ConstraintMetadata[]>();

/**
 * The object that performs a check. Built-in ones are made here: they need nothing, and the container (class-validator's
 * own, searched from its start, or Nest's, which throws for classes that it does not know) is asked for users' ones.
 */
export function instanceOf(constraint: ConstraintMetadata): ValidatorConstraintInterface {
  return isBuiltIn(constraint) ? new (constraint.target as new () => ValidatorConstraintInterface)() : constraint.instance;
}

function withInstance(constraint: ConstraintMetadata): ConstraintMetadata {
  if (!isBuiltIn(constraint)) return constraint;
  return Object.create(constraint, { instance: { value: instanceOf(constraint) } }) as ConstraintMetadata;
}

/** Made by a decorator from functions, under a built-in name; not a class of the user's, which may have dependencies. */
function isBuiltIn({ name, target }: ConstraintMetadata): boolean {
  return BUILT_IN_RULES.has(name) && target.name === 'CustomConstraint';
}

function entry<K extends object, V>(map: WeakMap<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}

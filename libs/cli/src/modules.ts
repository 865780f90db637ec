import type { ReplayFunctions, ReplayModule } from '@loopstack/operations';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { UsageError } from './exit.js';

/** A function of the user's, and what it was loaded from. */
export interface Loaded<Name extends keyof ReplayFunctions> {
  readonly run: NonNullable<ReplayFunctions[Name]>;
  readonly module: ReplayModule;
}

/** Loads the function that a module exports: its default, or the one of that name. @throws UsageError */
export async function loadFunction<Name extends keyof ReplayFunctions>(name: Name, path: string): Promise<Loaded<Name>> {
  const file = resolve(path);
  const sha256 = digest(file);
  let exported: Record<string, unknown>;
  try {
    exported = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  } catch (error) {
    throw new UsageError(`${path} cannot be loaded: ${(error as Error).message}`);
  }
  const run = exported[name] ?? exported['default'];
  if (typeof run !== 'function') throw new UsageError(`${path} exports neither a function ${name} nor a default function`);
  return { run: run as Loaded<Name>['run'], module: { path: file, sha256 } };
}

/** Loads the functions that a replay was started with. @throws UsageError where a module is not what it was */
export async function loadAgain(modules: Readonly<Partial<Record<keyof ReplayFunctions, ReplayModule>>>): Promise<ReplayFunctions> {
  const functions: Record<string, unknown> = {};
  for (const [name, { path, sha256 }] of Object.entries(modules)) {
    if (digest(path) !== sha256)
      throw new UsageError(
        `${path} has changed since the replay was started`,
        'Restore the file, or abort the replay and start another one.',
      );
    functions[name] = (await loadFunction(name as keyof ReplayFunctions, path)).run;
  }
  return functions;
}

function digest(file: string): string {
  try {
    return createHash('sha256').update(readFileSync(file)).digest('hex');
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
}

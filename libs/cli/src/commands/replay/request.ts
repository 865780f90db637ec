import type { EventMapping, PatchOperation, ReplayFunctions, ReplayModule, ReplayRequest } from '@loopstack/operations';
import type { Readable } from 'node:stream';
import { UsageError } from '../../exit.js';
import { timeOf } from '../../format.js';
import { loadFunction } from '../../modules.js';
import { parseJson, readText } from '../../payload.js';
import { parseTarget } from '../../target.js';

/** Flags that have the name and the value of an option of the request. */
const SAME = [
  'id',
  'workspace',
  'workflow',
  'fromSequence',
  'toSequence',
  'user',
  'outcome',
  'reason',
  'where',
  'sample',
  'limit',
  'includeReplayed',
  'rate',
  'maxQueued',
  'priority',
  'note',
] as const satisfies readonly (keyof ReplayRequest)[];

/** The flags of `loopstack replay start`. */
export interface StartFlags extends Pick<ReplayRequest, (typeof SAME)[number]> {
  readonly source: string;
  readonly subject?: readonly string[];
  readonly since?: string;
  readonly until?: string;
  readonly whereModule?: string;
  readonly sameRun?: boolean;
  readonly to?: string;
  readonly mapUser?: string;
  readonly mapUserPath?: string;
  readonly mapPayloadPath?: string;
  readonly mapModule?: string;
  readonly patch?: string;
  readonly transform?: string;
  readonly dryRun?: boolean;
  readonly examples: number;
  readonly check: boolean;
}

/** The request that the flags stand for, and the functions that they name. @throws UsageError */
export async function requestOf(
  flags: StartFlags,
  target: string | undefined,
  stdin: Readable,
): Promise<{ request: ReplayRequest; functions: ReplayFunctions }> {
  const { source, subject, sameRun, to, whereModule, mapModule, transform } = flags;
  const address = target === undefined ? {} : parseTarget(target);
  const functions: Record<string, unknown> = {};
  const modules: Record<string, ReplayModule> = {};
  const load = async (name: keyof ReplayFunctions, path: string | undefined): Promise<void> => {
    if (path === undefined) return;
    const loaded = await loadFunction(name, path);
    functions[name] = loaded.run;
    modules[name] = loaded.module;
  };
  const transformIsPatch = transform !== undefined && transform.endsWith('.json');
  await load('where', whereModule);
  await load('map', mapModule);
  await load('transform', transformIsPatch ? undefined : transform);
  const patch = flags.patch ?? (transformIsPatch ? `@${transform}` : undefined);
  const request: Record<string, unknown> = {
    ...only(flags, SAME),
    ...address,
    source: source === 'runs' || source === 'dead' ? source : { stream: source },
  };
  if (subject !== undefined) request['subjects'] = subject;
  Object.assign(request, timesOf(flags));
  if (sameRun) request['as'] = 'same-run';
  if (to !== undefined) request['map'] = mappingOf(to, flags);
  if (patch !== undefined) request['patch'] = await patchOf(patch, stdin);
  if (Object.keys(modules).length > 0) request['modules'] = modules;
  return { request, functions };
}

/** @throws UsageError */
export function timesOf({ since, until }: StartFlags): Pick<ReplayRequest, 'since' | 'until'> {
  return {
    ...(since === undefined ? {} : { since: timeOf('since', since).toISOString() }),
    ...(until === undefined ? {} : { until: timeOf('until', until).toISOString() }),
  };
}

function only<T extends object, K extends keyof T>(from: T, names: readonly K[]): Partial<Pick<T, K>> {
  const picked: Partial<Pick<T, K>> = {};
  for (const name of names) if (from[name] !== undefined) picked[name] = from[name];
  return picked;
}

function mappingOf(to: string, { mapUser, mapUserPath, mapPayloadPath }: StartFlags): EventMapping {
  return {
    ...parseTarget(to),
    ...(mapUser === undefined ? {} : { user: mapUser }),
    ...(mapUserPath === undefined ? {} : { userPath: mapUserPath }),
    ...(mapPayloadPath === undefined ? {} : { payloadPath: mapPayloadPath }),
  };
}

async function patchOf(text: string, stdin: Readable): Promise<readonly PatchOperation[]> {
  const operations = text.startsWith('@') ? parseJson(text.slice(1), await readText(text.slice(1), stdin)) : parseJson('--patch', text);
  if (!Array.isArray(operations)) throw new UsageError('a JSON Patch is a list of operations (RFC 6902)');
  return operations as readonly PatchOperation[];
}

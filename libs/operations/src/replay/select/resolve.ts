import {
  DEAD_REASONS,
  LoopstackError,
  PRIORITIES,
  assertName,
  assertPlace,
  isUserId,
  jsonType,
  type DeadReason,
  type Priority,
  type WireNames,
} from '@loopstack/shared/contract';
import { compileMapping, compilePatch, compileWhere } from './expression.js';
import { REPLAY_OUTCOMES, type ReplayCommand, type ReplayFunctions, type ReplayOutcome, type ReplayRequest } from '../request.js';

/** All that a request may have. */
const OPTIONS: Readonly<Record<keyof ReplayRequest, true>> = {
  id: true,
  source: true,
  workspace: true,
  workflow: true,
  subjects: true,
  since: true,
  until: true,
  fromSequence: true,
  toSequence: true,
  user: true,
  outcome: true,
  reason: true,
  where: true,
  sample: true,
  limit: true,
  includeReplayed: true,
  as: true,
  map: true,
  patch: true,
  rate: true,
  maxQueued: true,
  priority: true,
  note: true,
  modules: true,
};

/** A request with everything checked and filled in. */
export interface ResolvedReplay {
  readonly kind: 'runs' | 'dead' | 'stream';
  readonly stream: string;
  readonly subjects: readonly string[];
  readonly workspace: string | undefined;
  readonly workflow: string | undefined;
  readonly sinceMs: number | undefined;
  readonly untilMs: number;
  readonly fromSequence: number;
  readonly toSequence: number;
  readonly user: string | undefined;
  readonly outcome: ReplayOutcome | undefined;
  readonly reason: DeadReason | undefined;
  readonly where: ((payload: unknown) => boolean) | undefined;
  readonly sample: number;
  readonly limit: number;
  readonly includeReplayed: boolean;
  readonly sameRun: boolean;
  readonly map: ((json: unknown) => ReplayCommand) | undefined;
  readonly patch: ((command: ReplayCommand) => ReplayCommand) | undefined;
  readonly rate: number | undefined;
  readonly maxQueued: number | undefined;
  readonly priority: Priority;
  readonly functions: ReplayFunctions;
}

/** @throws LoopstackError OPTION_INVALID, NAME_INVALID */
export function resolveReplay(request: ReplayRequest, functions: ReplayFunctions, names: WireNames): ResolvedReplay {
  // An option that is misspelled would select more than was meant.
  for (const [option, value] of Object.entries(request))
    if (!Object.hasOwn(OPTIONS, option)) throw invalid(option, 'no such option', value);
  const { source = 'runs', workspace, workflow } = request;
  const kind = typeof source === 'string' ? source : 'stream';
  const wanted: readonly string[] = ['runs', 'dead', 'stream'];
  if (!wanted.includes(kind) || source === null) throw invalid('source', "'runs', 'dead' or { stream }", source);
  if (request.id !== undefined) assertName('replay id', request.id);
  assertPlace(request);
  const stream = kind === 'runs' ? names.streams.runs : kind === 'dead' ? names.streams.dead : streamName(source);
  checkTogether(request, functions, kind);
  return Object.freeze<ResolvedReplay>({
    kind,
    stream,
    subjects: request.subjects?.length ? list('subjects', request.subjects).map(subject) : defaultSubjects(kind, request, names),
    workspace,
    workflow,
    sinceMs: request.since === undefined ? undefined : timeMs('since', request.since),
    untilMs: request.until === undefined ? Number.POSITIVE_INFINITY : timeMs('until', request.until),
    fromSequence: request.fromSequence === undefined ? 1 : count('fromSequence', request.fromSequence),
    toSequence: request.toSequence === undefined ? Number.MAX_SAFE_INTEGER : count('toSequence', request.toSequence),
    user: request.user === undefined ? undefined : userId(request.user),
    outcome: oneOf('outcome', REPLAY_OUTCOMES, request.outcome),
    reason: oneOf('reason', DEAD_REASONS, request.reason),
    where: request.where === undefined ? undefined : compileWhere(request.where),
    sample: share(request.sample ?? 1),
    limit: request.limit === undefined ? Number.POSITIVE_INFINITY : count('limit', request.limit),
    includeReplayed: request.includeReplayed ?? false,
    sameRun: oneOf('as', ['new-run', 'same-run'] as const, request.as) === 'same-run',
    map: request.map === undefined ? undefined : compileMapping(request.map),
    patch: request.patch === undefined ? undefined : compilePatch(list('patch', request.patch)),
    rate: request.rate === undefined ? undefined : positive('rate', request.rate),
    maxQueued: request.maxQueued === undefined ? undefined : count('maxQueued', request.maxQueued),
    priority: oneOf('priority', PRIORITIES, request.priority) ?? 'low',
    functions,
  });
}

function checkTogether(request: ReplayRequest, functions: ReplayFunctions, kind: ResolvedReplay['kind']): void {
  const { outcome, reason, map, as } = request;
  const mapped = map !== undefined || functions.map !== undefined;
  if (kind === 'stream' && !mapped) throw together('map', 'a mapping, because the source holds no commands', undefined);
  if (kind !== 'stream' && mapped) throw together('map', 'no mapping, because the source holds commands', 'one');
  if (outcome !== undefined && kind !== 'runs') throw together('outcome', 'none but for runs', outcome);
  if (reason !== undefined && kind !== 'dead') throw together('reason', 'none but for dead letters', reason);
  if (as === 'same-run' && kind === 'stream') throw together('as', 'new-run, because its messages are no runs', as);
  for (const name of ['where', 'map', 'transform'] as const) {
    if (functions[name] === undefined && request.modules?.[name] !== undefined)
      throw together(name, `the function of ${request.modules[name].path}`, undefined);
  }
}

const together = (option: string, expected: string, received: string | undefined): LoopstackError =>
  new LoopstackError('OPTION_INVALID', { option, expected, received: received ?? 'none' });

function defaultSubjects(kind: ResolvedReplay['kind'], { workspace = '*', workflow = '*' }: ReplayRequest, names: WireNames): string[] {
  const address = { workspace, workflow };
  if (kind === 'dead') return [names.dead(address)];
  if (kind === 'runs') return [names.run(address), names.run(address, '*' as Priority)];
  return ['>'];
}

function streamName(source: unknown): string {
  const { stream } = source as { stream?: unknown };
  if (typeof stream !== 'string' || !/^[^\s.*>/\\]{1,255}$/.test(stream)) throw invalid('source.stream', 'the name of a stream', stream);
  return stream;
}

function list<T>(option: string, value: readonly T[]): readonly T[] {
  const given: unknown = value;
  if (!Array.isArray(given)) throw invalid(option, 'a list', given);
  return value;
}

function subject(text: string): string {
  if (typeof text !== 'string' || !/^[^\s.]+(\.[^\s.]+)*$/.test(text)) throw invalid('subjects', 'subject filters', text);
  return text;
}

function timeMs(option: string, text: string): number {
  const time = Date.parse(text);
  if (typeof text !== 'string' || Number.isNaN(time)) throw invalid(option, 'an ISO 8601 time', text);
  return time;
}

function count(option: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 1) throw invalid(option, 'a positive integer', value);
  return value;
}

function positive(option: string, value: number): number {
  if (!(Number.isFinite(value) && value > 0)) throw invalid(option, 'a positive number', value);
  return value;
}

function share(value: number): number {
  if (!(value > 0 && value <= 1)) throw invalid('sample', 'a number above 0, at most 1', value);
  return value;
}

function userId(value: string): string {
  if (!isUserId(value)) throw invalid('user', 'a user id', value);
  return value;
}

function oneOf<T extends string>(option: string, allowed: readonly T[], value: T | undefined): T | undefined {
  if (value !== undefined && !allowed.includes(value)) throw invalid(option, allowed.join(', '), value);
  return value;
}

function invalid(option: string, expected: string, value: unknown): LoopstackError {
  const received =
    typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : typeof value === 'number' ? String(value) : jsonType(value);
  return new LoopstackError('OPTION_INVALID', { option, expected, received });
}

/** An id that sorts by time and can be typed. */
export function newReplayId(nowMs: number, random = Math.random()): string {
  const tail = Math.floor(random * 36 ** 4)
    .toString(36)
    .padStart(4, '0');
  return `${nowMs.toString(36)}-${tail}`;
}

import { LoopstackError, jsonType } from '../error.js';

/**
 * The subject grammar. A name (workspace, workflow, run id, lane) is one subject token of a fixed alphabet, checked by
 * producer and worker alike: the server itself stores subjects with wildcards, NUL and `$JS` tokens without complaint.
 * `__proto__` is none: programs that keep things by name would lose what has it.
 */
export const NAME_PATTERN = /^(?!__proto__$)[A-Za-z0-9_-]{1,64}$/;

export function isName(value: unknown): boolean {
  return typeof value === 'string' && NAME_PATTERN.test(value);
}

/** @throws LoopstackError NAME_INVALID */
export function assertName(what: string, value: unknown): asserts value is string {
  if (!isName(value)) {
    throw new LoopstackError('NAME_INVALID', {
      what,
      value: typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : jsonType(value),
    });
  }
}

/** Which workflow of which workspace. */
export interface RunAddress {
  readonly workspace: string;
  readonly workflow: string;
}

/** @throws LoopstackError NAME_INVALID */
export function assertAddress(address: RunAddress): void {
  assertName('workspace', address.workspace);
  assertName('workflow', address.workflow);
}

/** What is given of an address that others are filtered by. @throws LoopstackError NAME_INVALID */
export function assertPlace({ workspace, workflow }: Partial<RunAddress>): void {
  if (workspace !== undefined) assertName('workspace', workspace);
  if (workflow !== undefined) assertName('workflow', workflow);
}

/** Priorities; `normal` is the public subject, the others are lanes beside it (a consumer can filter by subject only). */
export const PRIORITIES = ['high', 'normal', 'low'] as const;
export type Priority = (typeof PRIORITIES)[number];

/**
 * Every name on the wire, made from one prefix. Subjects use the prefix as it is, streams and buckets in upper case. What is put
 * into a subject is taken as it is, `*` included: names that come from a caller are checked where they come in.
 */
export interface WireNames {
  readonly prefix: string;
  readonly streams: { readonly runs: string; readonly events: string; readonly dead: string; readonly schedules: string };
  /** Subjects that each stream captures. */
  readonly captures: {
    readonly runs: readonly string[];
    readonly events: readonly string[];
    readonly dead: readonly string[];
    readonly schedules: readonly string[];
  };
  /** Name of the KV bucket that holds the catalogue of workflows. */
  readonly catalogue: string;
  /** Name of the KV bucket that holds the batch replays: what was asked, by whom, and how far it is. */
  readonly replays: string;
  run(address: RunAddress, priority?: Priority): string;
  /** The address in a run or lane subject; undefined if it is not one, or holds a name that the grammar refuses. */
  parseRun(subject: string): (RunAddress & { readonly priority: Priority }) | undefined;
  event(address: RunAddress, runId: string): string;
  parseEvent(subject: string): (RunAddress & { readonly runId: string }) | undefined;
  /** Notice to workers that a run is canceled; kept in the events stream so that a worker that was away learns of it. */
  cancel(address: RunAddress, runId: string): string;
  dead(address: RunAddress): string;
  parseDead(subject: string): RunAddress | undefined;
  /** Subject that holds one schedule, and the one on which the server publishes the due command. */
  schedule(address: RunAddress, id: string): string;
  parseSchedule(subject: string): (RunAddress & { readonly id: string }) | undefined;
  due(address: RunAddress, priority?: Priority): string;
  /** Subject in the runs stream on which a batch replay marks its place, in one batch with the commands up to it. */
  replay(id: string): string;
  /** How due commands get into the runs stream: subject transforms of its source, the schedules stream. */
  readonly dueTransforms: readonly { readonly src: string; readonly dest: string }[];
  /** Stream for events that no other stream captures, where the application allows one. */
  readonly inbound: string;
  /** Subject on which the worker that consumes a binding is asked to use an event again. */
  redrive(durable: string): string;
  /** Durable name of a workflow's consumer. Injective: `~` is in no name, so no two addresses share a durable. */
  durable(address: RunAddress, priority?: Priority): string;
}

function tokensAfter(head: string, subject: string, count: number): string[] | undefined {
  if (!subject.startsWith(head)) return undefined;
  const tokens = subject.slice(head.length).split('.');
  return tokens.length === count && tokens.every((token) => isName(token)) ? tokens : undefined;
}

/**
 * @param prefix first token of every subject; default `loopstack`
 * @throws LoopstackError NAME_INVALID
 */
export function wireNames(prefix = 'loopstack'): WireNames {
  assertName('prefix', prefix);
  const upper = prefix.toUpperCase();
  const parsePair = (head: string, subject: string): RunAddress | undefined => {
    const tokens = tokensAfter(head, subject, 2);
    return tokens && { workspace: tokens[0] as string, workflow: tokens[1] as string };
  };
  return Object.freeze<WireNames>({
    prefix,
    streams: { runs: `${upper}_RUNS`, events: `${upper}_EVENTS`, dead: `${upper}_DEAD`, schedules: `${upper}_SCHEDULES` },
    captures: {
      runs: [`${prefix}.run.*.*`, `${prefix}.lane.*.*.*`, `${prefix}.replay.*`],
      events: [`${prefix}.event.*.*.*`, `${prefix}.cancel.*.*.*`],
      dead: [`${prefix}.dead.*.*`],
      schedules: [`${prefix}.schedule.*.*.*`, `${prefix}.due.*.*`, `${prefix}.due.*.*.*`],
    },
    catalogue: `${upper}_CATALOGUE`,
    replays: `${upper}_REPLAYS`,
    run: ({ workspace, workflow }, priority = 'normal') =>
      priority === 'normal' ? `${prefix}.run.${workspace}.${workflow}` : `${prefix}.lane.${priority}.${workspace}.${workflow}`,
    parseRun(subject) {
      const plain = parsePair(`${prefix}.run.`, subject);
      if (plain) return { ...plain, priority: 'normal' };
      const tokens = tokensAfter(`${prefix}.lane.`, subject, 3);
      if (!tokens || (tokens[0] !== 'high' && tokens[0] !== 'low')) return undefined;
      return { workspace: tokens[1] as string, workflow: tokens[2] as string, priority: tokens[0] };
    },
    event: ({ workspace, workflow }, runId) => `${prefix}.event.${workspace}.${workflow}.${runId}`,
    parseEvent(subject) {
      const tokens = tokensAfter(`${prefix}.event.`, subject, 3);
      return tokens && { workspace: tokens[0] as string, workflow: tokens[1] as string, runId: tokens[2] as string };
    },
    cancel: ({ workspace, workflow }, runId) => `${prefix}.cancel.${workspace}.${workflow}.${runId}`,
    dead: ({ workspace, workflow }) => `${prefix}.dead.${workspace}.${workflow}`,
    parseDead: (subject) => parsePair(`${prefix}.dead.`, subject),
    schedule: ({ workspace, workflow }, id) => `${prefix}.schedule.${workspace}.${workflow}.${id}`,
    parseSchedule(subject) {
      const tokens = tokensAfter(`${prefix}.schedule.`, subject, 3);
      return tokens && { workspace: tokens[0] as string, workflow: tokens[1] as string, id: tokens[2] as string };
    },
    due: ({ workspace, workflow }, priority = 'normal') =>
      priority === 'normal' ? `${prefix}.due.${workspace}.${workflow}` : `${prefix}.due.${priority}.${workspace}.${workflow}`,
    replay: (id) => `${prefix}.replay.${id}`,
    dueTransforms: [
      { src: `${prefix}.due.*.*`, dest: `${prefix}.run.{{wildcard(1)}}.{{wildcard(2)}}` },
      { src: `${prefix}.due.*.*.*`, dest: `${prefix}.lane.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}` },
    ],
    inbound: `${upper}_INBOUND`,
    redrive: (durable) => `${prefix}.redrive.${durable}`,
    durable: ({ workspace, workflow }, priority = 'normal') =>
      priority === 'normal' ? `${workspace}~${workflow}` : `${workspace}~${workflow}~${priority}`,
  });
}

import { createHash } from 'node:crypto';

/**
 * What a durable of ours on a stream of events stands for:
 * - `on`: a subject starts a workflow: workspace, workflow, subject
 * - `then`: outcomes of a workflow start another one: workspace and workflow of both, type of the outcome
 * - `run`: events of runs call a method: service, name of the method
 * - `event`: a subject calls a handler of Nest: service, subject
 */
export type DurableKind = 'on' | 'then' | 'run' | 'event';

/** Names in a consumer's metadata (nats-server 2.10) that say in clear what its durable stands for. */
export const DURABLE_METADATA = {
  KIND: 'loopstack.kind',
  SUBJECT: 'loopstack.subject',
  FROM: 'loopstack.from',
  WORKSPACE: 'loopstack.workspace',
  WORKFLOW: 'loopstack.workflow',
  SERVICE: 'loopstack.service',
  /** Of a workflow's durable that was split: where its lanes begin. */
  LANES_FROM: 'loopstack.lanes-from',
} as const;

/** The server takes 255 characters, and makes a folder of that name. */
const MAX_DURABLE = 200;
const READABLE: Readonly<Record<string, string>> = { '.': ',', '*': '+', '>': '#' };

/** A part of a durable name. Injective: what it writes for a refused character is written for no other. */
function encoded(part: string): string {
  return part.replace(/[^A-Za-z0-9_-]/gu, (c) => READABLE[c] ?? encodeUtf8(c));
}

function encodeUtf8(char: string): string {
  return Buffer.from(char).toString('hex').toUpperCase().replace(/../g, '%$&');
}

/**
 * The durable name for `parts` on a stream that others use, too. Injective: `~` is in no part. A name that would be too long
 * is a hash; `=` is in no other name.
 */
export function eventDurable(prefix: string, kind: DurableKind, ...parts: readonly string[]): string {
  const name = [prefix, kind, ...parts.map(encoded)].join('~');
  if (name.length <= MAX_DURABLE) return name;
  return `${prefix}~${kind}~=${createHash('sha256').update(name).digest('hex')}`;
}

/** Whether a durable is one of ours. */
export function isEventDurable(prefix: string, durable: string): boolean {
  return (['on', 'then', 'run', 'event'] as const).some((kind) => durable.startsWith(`${prefix}~${kind}~`));
}

import { hash } from 'node:crypto';
import type { RunCommand } from './command.js';
import { LoopstackError } from '../error.js';

/** Characters of a digest that are kept: 128 bits and more. */
const KEPT = 22;

/**
 * What a run with an idempotency key is asked to do: a digest of the payload, and one of the user. The payload counts as data: neither the
 * order of its members nor how a number is written makes a difference (as in RFC 8785).
 */
export function contentOf({ payload, userId }: RunCommand): string {
  return `${digest(canonical(payload))}.${digest(userId)}`;
}

const digest = (text: string): string => hash('sha256', text, 'base64url').slice(0, KEPT);

function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  const fields = value as Readonly<Record<string, unknown>>;
  const members = Object.keys(fields)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(fields[key])}`);
  return `{${members.join()}}`;
}

/** The error of a key that stands for something else already; undefined where that is not known, or it stands for the same. */
export function keyConflict(runId: string, stands: string | undefined, asked: string | undefined): LoopstackError | undefined {
  if (stands === undefined || asked === undefined || stands === asked) return undefined;
  const [payload, user] = stands.split('.');
  const [askedPayload, askedUser] = asked.split('.');
  const what = payload === askedPayload ? 'user' : user === askedUser ? 'payload' : 'payload and user';
  return new LoopstackError('KEY_CONFLICT', { runId, what });
}

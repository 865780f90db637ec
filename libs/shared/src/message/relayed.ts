import { decodeRunEvent, type RunEvent } from './event.js';
import type { HeaderReader } from './header.js';
import type { RunAddress } from '../names/subject.js';

/*
 * Within one account, a user who may publish a request that the server answers can have the answer sent to any subject: the server checks no
 * permission for its own answers. Most answers can be told from what a client publishes.
 */

/** The server writes them into answers of direct gets (NATS ADR-31) and into copies of `republish`, and no client of ours into what it publishes. */
const PLACE = ['Nats-Stream', 'Nats-Subject', 'Nats-Sequence', 'Nats-Time-Stamp', 'Nats-Last-Sequence', 'Nats-Num-Pending'] as const;
/** The subject of the schedule that a due command is of: the server writes it over what the schedule says (NATS ADR-51). */
const SCHEDULER = 'Nats-Scheduler';
/** Where a command was copied from: `<stream> <sequence> …`. */
const SOURCE = 'Nats-Stream-Source';

/** How answers of JetStream, of the system account and of message traces begin. */
const ANSWER = /^\s*\{\s*"(?:stream"\s*:\s*"[^"]*"\s*,\s*"seq"|type"\s*:\s*"io\.nats\.|error"\s*:\s*\{\s*"code"|server"\s*:\s*\{\s*"name")/;

/** The header that tells an answer, or a republished copy, from a message that a client published. */
export function relayedHeader(headers: HeaderReader): string | undefined {
  return PLACE.find((name) => headers.get(name) !== undefined);
}

/** Whether a body is an acknowledgement or another answer of the server. An empty one may be one, or a client's mistake. */
export function isServerAnswer(data: Uint8Array): boolean {
  return ANSWER.test(Buffer.from(data.buffer, data.byteOffset, Math.min(data.length, 512)).toString('latin1'));
}

/** Why a command is none that a producer of this workflow published; undefined: nothing says so. */
export function relayedCommand({ workspace, workflow }: RunAddress, headers: HeaderReader): string | undefined {
  const header = relayedHeader(headers);
  if (header !== undefined) return `it has the header ${header}, as an answer of the server that was sent on`;
  const scheduler = headers.get(SCHEDULER);
  if (scheduler !== undefined) {
    const [kind, ofWorkspace, ofWorkflow] = scheduler.split('.').slice(-4);
    const own = kind === 'schedule' && ofWorkspace === workspace && ofWorkflow === workflow;
    return own ? undefined : 'its schedule is of another workflow';
  }
  return /^\S+_SCHEDULES /.test(headers.get(SOURCE) ?? '') ? 'it was put among the due commands, by no schedule' : undefined;
}

/** A message of a stream of events. */
export interface MessageOfEvents {
  readonly data: Uint8Array;
  /** It is an answer that was sent on. */
  readonly relayed: boolean;
}

/** The event in a stored message; undefined for one that is none. */
export function storedRunEvent({ data, relayed }: MessageOfEvents): RunEvent | undefined {
  return relayed ? undefined : decodeRunEvent(data);
}

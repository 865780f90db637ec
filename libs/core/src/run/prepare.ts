import {
  HEADER,
  LoopstackError,
  assertHeaders,
  contentOf,
  decodeRunCommand,
  untrustedReason,
  isServerAnswer,
  relayedCommand,
  runIdOf,
  runIdOrigin,
  sequenceRunId,
  type DecodedCommand,
  type HeaderCondition,
  type HeaderLine,
  type HeaderReader,
  type ResolvedTrust,
  type RunAddress,
} from '@loopstack/shared';
import { assertCauseDepth } from '../events/cause.js';
import { isA, reasonOf } from './thrown.js';

/** A stored command as a broker delivers it. */
export interface Delivery {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: HeaderReader &
    HeaderCondition & {
      entries(): Iterable<readonly [string, string]>;
      /** Every line as it is stored; undefined where that cannot be told byte by byte. */
      lines?(): readonly HeaderLine[] | undefined;
    };
  readonly sequence: number;
  /** Milliseconds since the epoch; when the command was stored. */
  readonly timeMs: number;
  /** From 1. */
  readonly deliveries: number;
  /** The broker may have forgotten an earlier delivery, so the count says nothing. */
  readonly maybeRedelivered?: boolean;
}

/** A decoded command: who it is, and whether its history must be looked at before it runs. */
export interface PreparedRun {
  readonly runId: string;
  readonly delivery: Delivery;
  /** Undefined where `error` tells why the command cannot run. */
  readonly command: DecodedCommand | undefined;
  readonly error: LoopstackError | undefined;
  /** Perhaps delivered before, keyed or redriven: its run may have a history. */
  readonly examined: boolean;
  /** Keyed, started by an event, redriven, or signed: of several commands for the run, the first one that claims it runs. */
  readonly claimed: boolean;
  /** Its signature was demanded and fits: a copy of it may come at any time, so it is not executed before its start is recorded. */
  readonly trusted: boolean;
  readonly expiresAtMs: number | undefined;
  /** With an idempotency key: what it is asked to do. */
  readonly content?: string | undefined;
}

/** The command as it is stored: a workflow without a payload class has `command.payload` itself, and may have changed it. */
export function commandAsStored({ delivery, command }: PreparedRun): DecodedCommand | undefined {
  return command && decodeRunCommand(delivery.data, delivery.headers, Number.POSITIVE_INFINITY);
}

/** The same command, as one that cannot run: under an id of its own, since it must not end the run whose id it claims. */
export function disowned(run: PreparedRun, error: LoopstackError): PreparedRun {
  const { delivery } = run;
  const runId = sequenceRunId(delivery.timeMs, delivery.sequence);
  return { runId, delivery, command: undefined, error, examined: isSeen(delivery), claimed: false, trusted: false, expiresAtMs: undefined };
}

/** What a command must keep to. */
export interface CommandLimits {
  readonly maxDepth: number;
  readonly maxCauseDepth: number;
  /** Demands a signature. */
  readonly trust?: ResolvedTrust | undefined;
}

/** Decodes a command. One that cannot run is told by its `error`; where signatures are demanded, nothing is read before they fit. */
export function prepareRun(address: RunAddress, delivery: Delivery, limits: CommandLimits): PreparedRun {
  const { headers } = delivery;
  const seen = isSeen(delivery);
  let runId: string | undefined;
  try {
    if (limits.trust) assertTrusted(limits.trust, delivery);
    assertHeaders(headers);
    const relayed = relayedCommand(address, headers);
    if (relayed !== undefined) throw new LoopstackError('RELAYED', { reason: relayed });
    const headerId = headers.get(HEADER.RUN_ID);
    if (headerId !== undefined) runId = runIdOf(address, delivery, headerId, undefined);
    const command = decodeRunCommand(delivery.data, headers, limits.maxDepth);
    runId ??= runIdOf(address, delivery, undefined, command.idempotencyKey);
    const trusted = limits.trust !== undefined;
    // Each copy of such a command would be a run of its own.
    if (trusted && headerId === undefined && command.idempotencyKey === undefined) throw untrusted(`it has no ${HEADER.RUN_ID}`);
    assertCauseDepth(headers.get(HEADER.CAUSE_DEPTH), limits.maxCauseDepth);
    const origin = runIdOrigin(runId);
    const claimed = trusted || headers.get(HEADER.REDRIVEN) !== undefined || origin === 'key' || origin === 'event';
    const examined = seen || claimed;
    const expiresAtMs = expiry(headers.get(HEADER.EXPIRES_AT));
    const content = origin === 'key' ? contentOf(command) : undefined;
    return { runId, delivery, command, error: undefined, examined, claimed, trusted, expiresAtMs, content };
  } catch (thrown) {
    const error = errorOf(thrown, delivery);
    // An untrusted command must not end the run whose id it claims, so its failure has an id of its own.
    if (runId === undefined || isForeign(error)) runId = sequenceRunId(delivery.timeMs, delivery.sequence);
    return { runId, delivery, command: undefined, error, examined: seen, claimed: false, trusted: false, expiresAtMs: undefined };
  }
}

/** A command that is not of whom it claims to be of. */
export function isForeign({ code }: LoopstackError): boolean {
  return code === 'UNTRUSTED' || code === 'RELAYED';
}

/** It may have been delivered before. */
const isSeen = ({ deliveries, maybeRedelivered }: Delivery): boolean => deliveries > 1 || maybeRedelivered === true;

function errorOf(thrown: unknown, { headers, data }: Delivery): LoopstackError {
  const error = isA(thrown, LoopstackError)
    ? thrown
    : new LoopstackError('COMMAND_INVALID', { summary: reasonOf(thrown) }, { cause: thrown });
  // What a producer publishes has a user, and so another body.
  if (isForeign(error) || headers.get('ce-specversion') !== undefined || !isServerAnswer(data)) return error;
  return new LoopstackError('RELAYED', { reason: 'it is an answer of the server that was sent on' }, { cause: error });
}

const untrusted = (reason: string): LoopstackError => new LoopstackError('UNTRUSTED', { reason });

/** @throws LoopstackError UNTRUSTED */
function assertTrusted(trust: ResolvedTrust, { subject, headers, data, timeMs }: Delivery): void {
  const reason = untrustedReason({ subject, lines: headers.lines?.(), data, timeMs }, trust);
  if (reason !== undefined) throw untrusted(reason);
}

function expiry(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const time = Date.parse(header);
  if (Number.isNaN(time)) throw new LoopstackError('COMMAND_INVALID', { summary: `${HEADER.EXPIRES_AT} is no ISO 8601 time` });
  return time;
}

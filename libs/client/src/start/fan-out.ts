import {
  LoopstackError,
  fanOutItems,
  type RunHandle,
  type RunItem,
  type PreparedCommand,
  prepareBatchCommand,
} from '@loopstack/shared/contract';
import { NO_PLACE, requireServer, renamed, type NatsConnectionLike, type EncodedMessage, type Publisher } from '@loopstack/jetstream';
import { setTimeout as delay } from 'node:timers/promises';
import { encodeCommand } from './command.js';
import { StoredRun, type RunOperations } from './handle.js';
import type { ResolvedClientOptions } from '../options.js';

/** A message id of the batch is in the stream: of an earlier attempt to write this batch, or of another client. */
const DUPLICATE_IN_BATCH = 10201;

/**
 * How long a batch waits for a place. The server keeps 50 open for a stream, from all clients together, and drops one that was left open
 * after 10 s (`jetstream.limits.batch`).
 */
const PLACE_MS = 12_000;
const RETRY_BATCH_MS = 200;
/** Times that a batch is written whose message ids others have taken, each time with new ones. */
const RENAMED_TRIES = 3;
const LAG_MS = 1000;

/**
 * Starts all of the runs or none: their commands are one atomic batch (NATS ADR-50). Waits up to 12 s for a place, where others hold all.
 * @throws LoopstackError BATCH_TOO_LARGE, BATCH_REJECTED and BATCH_UNAVAILABLE (nothing was stored), SERVER_TOO_OLD, OPTION_INVALID (keys and
 *   delays, which cannot be part of a batch), and as `run()`; PUBLISH_TIMEOUT and CLOSED with `details.runIds`, by which the
 *   caller can ask whether all of them are stored
 */
export async function fanOut(
  nc: NatsConnectionLike,
  client: ResolvedClientOptions,
  publisher: Publisher,
  operations: RunOperations,
  items: Iterable<RunItem>,
): Promise<RunHandle[]> {
  requireServer(nc, 'An all-or-nothing batch', 2, 12);
  const commands = fanOutItems(items).map((item) => prepareBatchCommand(client, item));
  const size = commands.length;
  const messages = commands.map(encodeCommand);
  const [first] = commands as [PreparedCommand];
  const message = messages[0] as EncodedMessage;
  // A user who may not look goes by the message id.
  const byId = async (): Promise<number> => (await publisher.sendOne(message, client.publishTimeoutMs)).sequence;
  const stored = (): Promise<number | undefined> => sequenceOf(operations, first).catch(byId);
  const last = await lastSequence(publisher, messages, client, stored).catch((error: unknown) => {
    throw withRunIds(
      error,
      commands.map(({ runId }) => runId),
    );
  });
  return commands.map((command, i) =>
    new StoredRun(operations, command.workspace, command.workflow, command.runId).acknowledged(
      client.names.streams.runs,
      last - size + 1 + i,
      false,
    ),
  );
}

/** @param stored where the first command is; undefined: it is not stored */
async function lastSequence(
  publisher: Publisher,
  messages: readonly EncodedMessage[],
  client: ResolvedClientOptions,
  stored: () => Promise<number | undefined>,
  tries = 1,
): Promise<number> {
  const { publishTimeoutMs: timeoutMs, sign } = client;
  const size = messages.length;
  const [first] = messages as [EncodedMessage];
  try {
    // A batch of one is a message.
    if (size === 1) return (await publisher.sendOne(first, timeoutMs)).sequence;
    return (await inPlace(() => publisher.sendBatch(messages, timeoutMs), size, timeoutMs)).sequence;
  } catch (error) {
    const errCode = errCodeOf(error);
    if (errCode === DUPLICATE_IN_BATCH && tries < RENAMED_TRIES) {
      const sequence = await stored();
      if (sequence !== undefined) return sequence + size - 1;
      const others = messages.map((message) => renamed(message, sign));
      return lastSequence(publisher, others, client, stored, tries + 1);
    }
    if (error instanceof LoopstackError && error.code === 'PUBLISH_REFUSED') {
      throw new LoopstackError('BATCH_REJECTED', { size, reason: error.details['reason'], errCode }, { cause: error });
    }
    throw error;
  }
}

/**
 * Where the batch is that was stored before the connection was lost: all of it, if its first command is. The id of that is new, so what has it is
 * ours. Looked at twice: a replica may lag.
 */
async function sequenceOf(operations: RunOperations, { workspace, workflow, runId }: PreparedCommand): Promise<number | undefined> {
  for (let looks = 1; ; looks++) {
    try {
      return (await operations.get(runId, { workspace, workflow })).sequence;
    } catch (error) {
      if (!(error instanceof LoopstackError) || error.code !== 'RUN_UNKNOWN') throw error;
      if (looks === 2) return undefined;
      await delay(LAG_MS);
    }
  }
}

const errCodeOf = (error: unknown): unknown => (error instanceof LoopstackError ? error.details['errCode'] : undefined);

/** Writes a batch again while there is no place for it: nothing of it is stored then. */
async function inPlace<T>(write: () => Promise<T>, size: number, timeoutMs: number): Promise<T> {
  const began = performance.now();
  const patienceMs = Math.max(PLACE_MS, timeoutMs);
  for (;;) {
    try {
      return await write();
    } catch (cause) {
      const errCode = errCodeOf(cause);
      if (!NO_PLACE.has(errCode)) throw cause;
      const waitedMs = Math.round(performance.now() - began);
      if (waitedMs > patienceMs) {
        const { reason } = (cause as LoopstackError).details;
        throw new LoopstackError('BATCH_UNAVAILABLE', { size, waitedMs, reason, errCode }, { cause });
      }
      // At random: of many that wait, none is always too late.
      await delay(RETRY_BATCH_MS * (0.5 + Math.random()));
    }
  }
}

/** All may be stored, or none. Only their ids tell, and only this call knows them. */
function withRunIds(error: unknown, runIds: readonly string[]): unknown {
  if (!(error instanceof LoopstackError) || (error.code !== 'PUBLISH_TIMEOUT' && error.code !== 'CLOSED')) return error;
  return new LoopstackError(error.code, { ...error.details, runIds }, { cause: error });
}

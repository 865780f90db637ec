import {
  HEADER,
  contentOf,
  decodeRunCommand,
  untrustedReason,
  isServerHeader,
  isSignatureHeader,
  keyConflict,
  newRunId,
  publicKeyOf,
  runIdOrigin,
  type CommandSigner,
  type HeaderReader,
  type Headers,
  type StoredCommand as SignedCommand,
  headerLines,
} from '@loopstack/shared/contract';
import { headerBlock, headersIn } from './header-block.js';
import type { EncodedMessage } from './queue/pending.js';
import type { StoredMessage } from '../read/stored-message.js';
import type { StreamReader } from '../read/stream-reader.js';

/** Of a command that a schedule keeps: it is signed as it will be when it is due, without a message id. */
const SCHEDULE = 'Nats-Schedule';
const TARGET = 'Nats-Schedule-Target';

/**
 * Looks at what the server takes for a duplicate. It goes by the message id alone, for all subjects of a stream, and the id of a run that
 * has a key, or that an event starts, can be guessed: another producer may have stored something under it.
 */
export class Duplicates {
  readonly #reader: StreamReader;
  readonly #sign: CommandSigner | undefined;

  constructor(reader: StreamReader, sign: CommandSigner | undefined) {
    this.#reader = reader;
    this.#sign = sign;
  }

  /**
   * The message to store instead, under an id that cannot be guessed; undefined for one that is there already.
   * @param sequence of the message that has the id
   * @throws LoopstackError KEY_CONFLICT
   */
  async instead(message: EncodedMessage, stream: string, sequence: number): Promise<EncodedMessage | undefined> {
    const headers = message.block === undefined ? {} : headersIn(message.block);
    const runId = headers[HEADER.RUN_ID];
    // Of what is no run's the server's word is all that there is.
    if (runId === undefined) return undefined;
    const signer = headers[HEADER.SIGNER];
    const stored = await this.#read(stream, sequence, signer !== undefined);
    if (stored === undefined) return isClaimed(headers, runId) ? renamed(message, this.#sign) : undefined;
    // A worker that demands signatures would refuse what another client has stored, and this command would be lost with it.
    if (signer !== undefined && !isSignedBy(stored, signer)) return renamed(message, this.#sign);
    if (targetOf(stored.subject) !== targetOf(message.subject) || stored.headers.get(HEADER.RUN_ID) !== runId)
      return renamed(message, this.#sign);
    if (runIdOrigin(runId) === 'key') {
      const conflict = keyConflict(runId, contentIn(stored.data, stored.headers), contentIn(message.data));
      if (conflict) throw conflict;
    }
    return undefined;
  }

  /** Undefined where it is gone, or this user may not see it. A replica that lags does not have it yet, its leader does. */
  async #read(stream: string, sequence: number, byteForByte: boolean): Promise<StoredMessage | undefined> {
    try {
      const replicas = byteForByte ? undefined : await this.#reader.get(stream, { sequence });
      return replicas ?? (await this.#reader.getFromLeader(stream, { sequence }));
    } catch {
      return undefined;
    }
  }
}

/** The same message under an id that cannot be guessed. */
export function renamed({ subject, data, block }: EncodedMessage, sign: CommandSigner | undefined): EncodedMessage {
  const given = block === undefined ? {} : headersIn(block);
  // The signature of a delayed command does not cover the id.
  const anew = given[HEADER.SIGNATURE] !== undefined && given[SCHEDULE] === undefined;
  const headers: Record<string, string> = Object.fromEntries(Object.entries(given).filter(([name]) => !anew || !isSignatureHeader(name)));
  headers[HEADER.MSG_ID] = `${given[HEADER.MSG_ID]}~${newRunId()}`;
  const signature = anew ? sign?.({ subject, headers, data }) : {};
  return { subject, data, block: headerBlock(headerLines({ ...headers, ...signature })) };
}

/** Whether it is a command that the same signer has made and that is unchanged. */
function isSignedBy(stored: StoredMessage, signer: string): boolean {
  const trust = { keys: new Map([[signer, publicKeyOf(signer, HEADER.SIGNER)]]), maxValidityMs: Number.POSITIVE_INFINITY };
  return untrustedReason(whenDue(stored), trust) === undefined;
}

/** A delayed command as it will be stored when it is due: so it is signed. */
function whenDue({ subject, data, timeMs, headers }: StoredMessage): SignedCommand {
  const lines = headers.lines();
  if (headers.get(SCHEDULE) === undefined) return { subject, lines, data, timeMs };
  const target = headers.get(TARGET) ?? '';
  const lane = /^[^.]+\.due\.[^.]+\.[^.]+\.[^.]+$/.test(target) ? 'lane' : 'run';
  return {
    subject: target.replace(/^([^.]+)\.due\./, `$1.${lane}.`),
    lines: lines?.filter(([name]) => !isServerHeader(name)),
    data,
    timeMs: Date.parse(headers.get(HEADER.SIGNED_FROM) ?? ''),
  };
}

/** Whether the worker executes one of several commands for the run, so that one too many does no harm. */
function isClaimed(headers: Headers, runId: string): boolean {
  const origin = runIdOrigin(runId);
  return origin === 'key' || origin === 'event' || headers[HEADER.REDRIVEN] !== undefined;
}

/** A subject without its lane: the same run may be asked for with another priority. */
function targetOf(subject: string): string {
  return subject.replace(/^([^.]+)\.lane\.(?:high|low)\./, '$1.run.');
}

/** What a command asks for; a text of its own for what is no command, which stands for nothing else. */
function contentIn(data: Uint8Array, headers?: HeaderReader): string {
  try {
    return contentOf(decodeRunCommand(data, headers));
  } catch {
    return 'none.none';
  }
}

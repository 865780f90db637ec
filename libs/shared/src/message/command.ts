import { LoopstackError, jsonType, summarize, type FieldError } from '../error.js';
import { HEADER, MAX_HEADERS, NO_HEADERS, type HeaderCondition, type HeaderReader } from './header.js';
import { describeLoss, lossInJson, type JsonLoss } from '../value/json-loss.js';
import { keyedRunId, sequenceRunId } from '../names/run-id.js';
import { MAX_DEPTH, MAX_MEMBERS, parseStrictJson } from '../value/strict-json.js';
import { isName, type RunAddress } from '../names/subject.js';
import { unfitText } from '../value/text.js';

/** Longest user id, in characters. */
export const MAX_USER_ID = 256;

/** What a producer asks for: the payload of a workflow and on whose behalf it runs. */
export interface RunCommand {
  readonly payload: unknown;
  readonly userId: string;
}

export interface DecodedCommand extends RunCommand {
  /** CloudEvents `source` and `id`: two events with both equal are one event (CloudEvents 1.0, 3.1.1), so one run. */
  readonly idempotencyKey?: string;
}

export function isUserId(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= MAX_USER_ID && unfitText(value) === undefined;
}

/** @throws LoopstackError USER_MISSING */
export function assertUserId(value: unknown): asserts value is string {
  if (!isUserId(value)) throw new LoopstackError('USER_MISSING', { received: received(value) });
}

/**
 * The body of a run command. What a worker would refuse is refused here, so that no command is accepted only to become
 * a dead letter, and so is what JSON has no form for. `undefined` members are left out.
 * @throws LoopstackError USER_MISSING, PAYLOAD_UNSERIALIZABLE
 */
export function encodeRunCommand({ payload, userId }: RunCommand): Uint8Array {
  assertUserId(userId);
  const text = stringify(payload === undefined ? { userId } : { payload, userId }, payload, 'PAYLOAD_UNSERIALIZABLE', {});
  const bytes = Buffer.from(text);
  if (isUncertain(text)) {
    try {
      parseStrictJson(bytes);
    } catch (error) {
      throw new LoopstackError('PAYLOAD_UNSERIALIZABLE', { reason: (error as Error).message }, { cause: error });
    }
  }
  return bytes;
}

/** What is wrong with a user id, without its value. */
function received(userId: unknown): string {
  if (typeof userId !== 'string') return jsonType(userId);
  if (userId === '') return 'an empty string';
  return userId.length > MAX_USER_ID ? `${userId.length} characters` : (unfitText(userId) ?? 'a string');
}

/** A lone surrogate, which JSON.stringify escapes, or (of JSON.rawJSON) an integer that a double may change. */
const UNCERTAIN = /\\ud|\d{16}/;

/** The shortest text of one member more than an object may have: `"":0,` each. */
const MANY_MEMBERS = 5 * MAX_MEMBERS;

/** Cheap, and true for all that a strict decoder refuses. */
function isUncertain(text: string): boolean {
  if (UNCERTAIN.test(text)) return true;
  if (text.length > MANY_MEMBERS) {
    let members = 0;
    for (let i = text.indexOf(':'); i >= 0; i = text.indexOf(':', i + 1)) if (++members > MAX_MEMBERS) return true;
  }
  let opened = 0;
  for (const bracket of '{[') {
    for (let i = text.indexOf(bracket); i >= 0; i = text.indexOf(bracket, i + 1)) if (++opened > MAX_DEPTH) return true;
  }
  return false;
}

/** @throws LoopstackError `code`, for what is no JSON: BigInt, cycles, too deep nesting, and what JSON would lose (`lossInJson`) */
export function encodeJson(
  value: unknown,
  code: 'PAYLOAD_UNSERIALIZABLE' | 'RESULT_UNSERIALIZABLE',
  details: Readonly<Record<string, unknown>>,
): Uint8Array {
  // From Buffer's pool: TextEncoder takes four times as long, for the memory that it asks for each time.
  return Buffer.from(stringify(value, value, code, details));
}

/** @param given the part of it that comes from a caller */
function stringify(
  value: unknown,
  given: unknown,
  code: 'PAYLOAD_UNSERIALIZABLE' | 'RESULT_UNSERIALIZABLE',
  details: Readonly<Record<string, unknown>>,
): string {
  let text: string;
  let loss: JsonLoss | undefined;
  try {
    text = JSON.stringify(value) ?? 'null';
    loss = lossInJson(given);
  } catch (error) {
    const reason = error instanceof RangeError ? 'it is nested too deep' : error instanceof Error ? error.message : 'its toJSON failed';
    throw new LoopstackError(code, { ...details, reason }, { cause: error });
  }
  if (loss === undefined) return text;
  const whole = code === 'PAYLOAD_UNSERIALIZABLE' ? 'the payload' : 'the result';
  throw new LoopstackError(code, { ...details, reason: describeLoss(loss, whole), path: loss.path, type: loss.type });
}

type Fields = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

function refuse(errors: readonly FieldError[]): never {
  throw new LoopstackError('COMMAND_INVALID', { summary: summarize(errors) }, { errors });
}

function commandOf(payload: unknown, userId: unknown, userField: string, idempotencyKey?: string): DecodedCommand {
  if (!isUserId(userId)) {
    refuse([
      {
        path: userField,
        rule: 'isUserId',
        message: `${userField} must be a string of 1 to ${MAX_USER_ID} characters, none of them a control character`,
        received: received(userId),
      },
    ]);
  }
  const decoded = { payload: payload === undefined ? {} : payload, userId };
  return idempotencyKey === undefined ? decoded : { ...decoded, idempotencyKey };
}

function plain(body: unknown): DecodedCommand {
  if (!isObject(body)) refuse([{ path: '', rule: 'isObject', message: 'the body must be a JSON object', received: jsonType(body) }]);
  for (const key of Object.keys(body)) {
    if (key !== 'payload' && key !== 'userId') {
      refuse([
        {
          path: key,
          rule: 'unknownField',
          message: `unknown field ${JSON.stringify(key.slice(0, 80))}; a run command has payload and userId`,
          received: jsonType(body[key]),
        },
      ]);
    }
  }
  return commandOf(body['payload'], body['userId'], 'userId');
}

function cloudEvent(source: unknown, id: unknown, data: unknown, userId: unknown, userField: string): DecodedCommand {
  const wrong = [
    ['source', source],
    ['id', id],
  ].filter(([, value]) => typeof value !== 'string' || value === '' || unfitText(value) !== undefined);
  if (wrong.length > 0) {
    refuse(
      wrong.map(([path, value]) => ({
        path: path as string,
        rule: 'cloudEvent',
        message: `a CloudEvent needs a ${path as string} without control characters`,
        received: (typeof value === 'string' ? unfitText(value) : undefined) ?? jsonType(value),
      })),
    );
  }
  // NUL is in neither: of two events that differ, no source and id run together.
  return commandOf(data, userId, userField, `${source as string}\0${id as string}`);
}

/**
 * Decodes the body of a run command. Three forms are understood: the plain command, the packet that Nest's NATS
 * `ClientProxy` wraps around one (`{pattern, data}`), and CloudEvents 1.0 in structured and binary mode, where the data
 * is the payload and the extension attribute `userid` names the user.
 * @throws LoopstackError BODY_NOT_UTF8, BODY_TOO_DEEP, BODY_NOT_JSON, BODY_NOT_IJSON, COMMAND_INVALID (with field errors)
 */
export function decodeRunCommand(bytes: Uint8Array, headers: HeaderReader = NO_HEADERS, maxDepth = MAX_DEPTH): DecodedCommand {
  const binary = headers.get('ce-specversion');
  if (binary !== undefined) {
    const data = bytes.length === 0 ? undefined : parseStrictJson(bytes, maxDepth);
    return cloudEvent(
      percentDecoded(headers.get('ce-source')),
      percentDecoded(headers.get('ce-id')),
      data,
      percentDecoded(headers.get('ce-userid')),
      'ce-userid',
    );
  }
  const body = parseStrictJson(bytes, maxDepth);
  if (isObject(body)) {
    if (typeof body['specversion'] === 'string') {
      if (body['data_base64'] !== undefined) {
        refuse([
          {
            path: 'data_base64',
            rule: 'cloudEvent',
            message: 'binary data is not a payload; send JSON in data',
            received: jsonType(body['data_base64']),
          },
        ]);
      }
      return cloudEvent(body['source'], body['id'], body['data'], body['userid'], 'userid');
    }
  }
  return plain(unwrapPacket(body));
}

/** The value that Nest's `ClientProxy.emit` was given, which it sends as `{ pattern, data }`. Any other body is the value itself. */
export function unwrapPacket(body: unknown): unknown {
  return isObject(body) && Object.hasOwn(body, 'pattern') && Object.hasOwn(body, 'data') ? body['data'] : body;
}

/** @throws LoopstackError COMMAND_INVALID */
export function assertHeaders({ malformed, count = 0 }: HeaderCondition): void {
  if (malformed === true) throw new LoopstackError('COMMAND_INVALID', { summary: 'its headers cannot be read' });
  if (count > MAX_HEADERS) throw new LoopstackError('COMMAND_INVALID', { summary: `it has ${count} headers, ${MAX_HEADERS} are allowed` });
}

/** CloudEvents header values are percent-encoded (NATS protocol binding 3.1.3.2 refers to the HTTP binding). */
function percentDecoded(value: string | undefined): string | undefined {
  if (value === undefined || !value.includes('%')) return value;
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

/** Where and when the stream stored a command. */
export interface Stored {
  readonly sequence: number;
  /** Milliseconds since the epoch, by the server's clock. */
  readonly timeMs: number;
}

/**
 * The id of the run that a stored command asks for: its header, else the one that its idempotency key names, else
 * derived from time and sequence, so that the same stored message is the same run at every delivery.
 * @throws LoopstackError NAME_INVALID for a header that could not be a subject token
 */
export function runIdOf(address: RunAddress, stored: Stored, headerRunId: string | undefined, idempotencyKey: string | undefined): string {
  if (headerRunId !== undefined) {
    if (!isName(headerRunId))
      throw new LoopstackError('NAME_INVALID', { what: HEADER.RUN_ID, value: JSON.stringify(headerRunId.slice(0, 80)) });
    return headerRunId;
  }
  if (idempotencyKey !== undefined) return keyedRunId(address.workspace, address.workflow, idempotencyKey);
  return sequenceRunId(stored.timeMs, stored.sequence);
}

/** Message id of a command: prefixed with its address, so that one producer cannot suppress the run of another. */
export function messageId(address: RunAddress, runId: string): string {
  return `${address.workspace}.${address.workflow}:${runId}`;
}

import { requestFailure } from '../connection/client-library.js';

/** `err_code`s of nats-server (server/errors.json) on which decisions are made. */
export const ERR_CODE = {
  NO_PEERS: 10005,
  CLUSTER_NOT_AVAILABLE: 10008,
  CONSUMER_NOT_FOUND: 10014,
  RESOURCES_EXCEEDED: 10023,
  MEMORY_EXCEEDED: 10028,
  NO_MESSAGE: 10037,
  NOT_ENABLED_FOR_ACCOUNT: 10039,
  STORAGE_EXCEEDED: 10047,
  MESSAGE_TOO_LARGE: 10054,
  STREAM_NAME_IN_USE: 10058,
  STREAM_NOT_FOUND: 10059,
  WRONG_LAST_SEQUENCE: 10071,
  NOT_ENABLED: 10076,
  STORE_FAILED: 10077,
  STREAM_OFFLINE: 10118,
  CONSUMER_OFFLINE: 10119,
  CONSUMER_EXISTS: 10148,
  DUPLICATE_IN_PROCESS: 10158,
  SUBJECT_IN_PROCESS: 10164,
  BATCHES_DISABLED: 10174,
  /** Messages of a batch are missing: also the answer of a server before 10210 to a batch that it had no place for. */
  BATCH_INCOMPLETE: 10176,
  BATCH_HEADER_UNSUPPORTED: 10177,
  BATCH_ID_INVALID: 10179,
  BATCH_HAS_DUPLICATE: 10201,
  /** As many batches are open as the server allows, for a stream or in all. */
  TOO_MANY_BATCHES: 10210,
} as const;

const NOT_FOUND = 404;

/** The error in an answer of the JetStream API. Its `code` and `description` may be a bare 503; `err_code` is what identifies it. */
export interface ApiError {
  readonly code: number;
  readonly err_code?: number;
  readonly description?: string;
}

/** A request that the JetStream API refused. `errCode` 0: the request itself was not answered. */
export class JetStreamApiError extends Error {
  override readonly name = 'JetStreamApiError';
  readonly errCode: number;
  /** What was asked for does not exist. */
  readonly isNotFound: boolean;
  /** JetStream is not there: for the server, the account, or this user. */
  readonly isMissing: boolean;

  /** @param options `isMissing`: nothing takes requests of this user to the API */
  constructor(errCode: number, message: string, options: { cause?: unknown; status?: number; isMissing?: boolean } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.errCode = errCode;
    this.isNotFound = options.status === NOT_FOUND || errCode === ERR_CODE.NO_MESSAGE;
    this.isMissing = options.isMissing === true || errCode === ERR_CODE.NOT_ENABLED || errCode === ERR_CODE.NOT_ENABLED_FOR_ACCOUNT;
  }

  /** The account of this user has no JetStream, such as a tenant's. */
  get withoutJetStream(): boolean {
    return this.errCode === ERR_CODE.NOT_ENABLED_FOR_ACCOUNT;
  }
}

/** The error that an answer of the API is. */
export function errorIn({ code, err_code: errCode, description }: ApiError): JetStreamApiError {
  return new JetStreamApiError(errCode ?? code ?? 0, description ?? 'unknown error', { status: code });
}

/** Answers of a cluster without a leader, or with fewer nodes than a stream has copies. */
const PASSING: ReadonlySet<number> = new Set([
  ERR_CODE.CLUSTER_NOT_AVAILABLE,
  ERR_CODE.NO_PEERS,
  ERR_CODE.STREAM_OFFLINE,
  ERR_CODE.CONSUMER_OFFLINE,
]);

/** Whether JetStream is there, and does not do now what it is asked for. */
export function isUnavailable(error: unknown): error is JetStreamApiError {
  if (!(error instanceof JetStreamApiError)) return false;
  return requestFailure(error.cause) === 'timeout' || PASSING.has(error.errCode);
}

/** Whether the API has refused a request with one of these codes. */
export function hasCode(error: unknown, ...codes: readonly number[]): error is JetStreamApiError {
  return error instanceof JetStreamApiError && codes.includes(error.errCode);
}

/** Undefined where the API answers with one of these codes, such as for a stream that does not exist. */
export async function orUndefined<T>(asked: Promise<T>, ...codes: readonly number[]): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (hasCode(error, ...codes)) return undefined;
    throw error;
  }
}

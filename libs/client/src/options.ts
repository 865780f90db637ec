import { apiPrefix } from '@loopstack/jetstream';
import {
  durationMs,
  integerFrom,
  invalidOption,
  localMs,
  timerMs,
  type CommandSigner,
  wireNames,
  type Duration,
  type Headers,
  type WireNames,
  type FieldError,
  type JsonSchema,
  type RunAddress,
  type Clock,
} from '@loopstack/shared/contract';

/** Checks a payload against the schema that the worker of a workflow published. */
export type SchemaCheck = (schema: JsonSchema, payload: unknown, workflow: RunAddress) => readonly FieldError[];

/** All optional. */
export interface ClientOptions {
  /** First token of every subject. Default `loopstack`. */
  readonly prefix?: string;
  /** JetStream domain, for streams behind a leaf node. Default: that of the connection. */
  readonly domain?: string;
  /** Longest wait for an acknowledgement, from the moment a message is written. Keep it below the streams' deduplication window (2 min). Default 5 s. */
  readonly publishTimeout?: Duration;
  /** Messages that are written and not yet acknowledged; further calls wait in order. Default 4,096. */
  readonly maxInFlight?: number;
  /**
   * While the connection is down, `fail` refuses a run at once (PUBLISH_UNAVAILABLE) and `wait` keeps it until the
   * connection is back or `publishTimeout` has passed. Never a false success. Default `wait`.
   */
  readonly whileDisconnected?: 'fail' | 'wait';
  /**
   * Gathers concurrent runs into atomic batches. Default `auto`: while, under load, each command costs the server a disk
   * write of its own (`sync_interval: always`). Runs are accepted one by one all the same.
   */
  readonly groupCommit?: boolean | 'auto';
  /**
   * Makes the connection anew, at another server, when runs have timed out for 5 s and the server that it has does not answer
   * for JetStream: it may be cut off from the others. Default: only a connection that `connect()` made.
   */
  readonly failover?: boolean;
  /** Longest wait of `handle.result()`. Default 30 s. */
  readonly resultTimeout?: Duration;
  /** Longest wait for an answer about a run or a schedule. Default 5 s. */
  readonly requestTimeout?: Duration;
  /** Refuses workspaces and workflows that no worker has published in the catalogue (WORKSPACE_UNKNOWN, WORKFLOW_UNKNOWN). Costs one read a minute for each workflow. Default false. */
  readonly checkCatalogue?: boolean;
  /** With `checkCatalogue`: checks payloads against the schemas of the catalogue, such as `schemaCheck()` of `@loopstack/nats`. */
  readonly checkSchema?: SchemaCheck;
  /** Headers for each command from the surroundings of the call: the run that starts it, the trace. */
  readonly context?: () => Headers | undefined;
  /** Signs commands, for workspaces whose workers demand it: `commandSigner(seed)`. */
  readonly sign?: CommandSigner;
}

const LOCAL_CLOCK: Clock = { nowMs: localMs, need: () => undefined };

export interface ResolvedClientOptions {
  readonly names: WireNames;
  /** Head of the JetStream API's subjects, without the last dot. */
  readonly api: string;
  readonly publishTimeoutMs: number;
  readonly maxInFlight: number;
  readonly whileDisconnected: 'fail' | 'wait';
  readonly groupCommit: boolean | 'auto';
  readonly resultTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly checkCatalogue: boolean;
  readonly checkSchema: SchemaCheck | undefined;
  readonly context: (() => Headers | undefined) | undefined;
  readonly sign: CommandSigner | undefined;
  readonly clock: Clock;
}

function oneOf<T>(option: string, values: readonly T[], value: T): T {
  if (values.includes(value)) return value;
  throw invalidOption(option, values.map((one) => JSON.stringify(one)).join(', '), value);
}

/** @throws LoopstackError NAME_INVALID, OPTION_INVALID */
export function resolveClientOptions(options: ClientOptions = {}, clock: Clock = LOCAL_CLOCK): ResolvedClientOptions {
  return Object.freeze<ResolvedClientOptions>({
    names: wireNames(options.prefix),
    api: apiPrefix(options.domain),
    publishTimeoutMs: durationMs('publishTimeout', options.publishTimeout ?? '5s'),
    maxInFlight: integerFrom('maxInFlight', 1, options.maxInFlight ?? 4096),
    whileDisconnected: oneOf('whileDisconnected', ['fail', 'wait'], options.whileDisconnected ?? 'wait'),
    groupCommit: oneOf<boolean | 'auto'>('groupCommit', [true, false, 'auto'], options.groupCommit ?? 'auto'),
    resultTimeoutMs: durationMs('resultTimeout', options.resultTimeout ?? '30s'),
    requestTimeoutMs: timerMs('requestTimeout', options.requestTimeout ?? '5s'),
    checkCatalogue: options.checkCatalogue ?? false,
    checkSchema: options.checkSchema,
    context: options.context,
    sign: options.sign,
    clock,
  });
}

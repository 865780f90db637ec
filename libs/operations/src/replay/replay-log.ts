import { ServerClock, Bucket, type NatsConnectionLike } from '@loopstack/jetstream';
import { LoopstackError, printable, type FieldError, type RunAddress, type WireNames } from '@loopstack/shared/contract';
import { hostname } from 'node:os';
import type { ReplayRequest } from './request.js';

/**
 * - `running`: a process works on it
 * - `paused`: on hold, with or without a process that waits for it
 * - `interrupted`: the process that worked on it has stopped or died; it can be resumed
 * - `completed`, `aborted`: it has ended
 */
export type ReplayStatus = 'running' | 'paused' | 'interrupted' | 'completed' | 'aborted';

export interface ReplayCounts {
  /** Messages that the source had in the range. */
  readonly read: number;
  /** Commands that were selected. */
  readonly matched: number;
  readonly published: number;
  /** Selected and refused: they would become dead letters. */
  readonly invalid: number;
  /** Passed over because a replay has published them. */
  readonly replayed: number;
  /** Dropped by the transform. */
  readonly dropped: number;
  /** Runs that were to be opened again and have not ended. */
  readonly busy: number;
}

export const NO_COUNTS: ReplayCounts = { read: 0, matched: 0, published: 0, invalid: 0, replayed: 0, dropped: 0, busy: 0 };

/** A selected command that was refused. */
export interface InvalidCommand extends Partial<RunAddress> {
  readonly sequence: number;
  readonly code: string;
  readonly message: string;
  readonly errors?: readonly FieldError[];
}

/** Most refused commands that are kept. */
export const KEPT_INVALID = 20;

/** A refused command, as the record keeps it. */
export function invalidCommand(sequence: number, error: LoopstackError): InvalidCommand {
  const { code, errors } = error;
  return { sequence, code, message: printable(error.message, 300), ...(errors.length > 0 ? { errors: errors.slice(0, 5) } : {}) };
}

export interface ReplayAction {
  readonly action: 'start' | 'resume' | 'pause' | 'abort';
  readonly by: string;
  /** ISO 8601. */
  readonly at: string;
}

/** The request, as it was given; never changes. */
export interface ReplayOrder {
  readonly id: string;
  readonly request: ReplayRequest;
  readonly by: string;
  /** ISO 8601. */
  readonly at: string;
  readonly stream: string;
  /** Last sequence of the source at the start: what is stored later is not replayed. */
  readonly bound: number;
}

/** The state of a replay; its record when it has ended. Times are ISO 8601. */
export interface ReplayState {
  readonly status: ReplayStatus;
  readonly counts: ReplayCounts;
  /** Sequence of the source up to which everything is done. */
  readonly position: number;
  /** Sequence of the last checkpoint in the runs stream. */
  readonly checkpointSequence: number;
  /** Time that processes have worked on it, without pauses. */
  readonly workedMs: number;
  /** The first ones that were refused. */
  readonly invalid: readonly InvalidCommand[];
  readonly runner: string;
  readonly heartbeatAt: string;
  readonly startedAt: string;
  readonly finishedAt?: string;
  /** Why it was interrupted. */
  readonly error?: string;
  readonly actions: readonly ReplayAction[];
}

/** A request to the process that works on a replay. */
export interface ControlRequest {
  readonly request: 'run' | 'pause' | 'abort';
  readonly by: string;
  readonly at: string;
}

/** A replay as lists show it: who asked for what and when, and its result. */
export interface ReplayReport extends ReplayOrder, ReplayState {}

/** A process writes this often; one that has not for five times as long is dead. */
export const HEARTBEAT_MS = 2000;
const DEAD_AFTER_MS = 5 * HEARTBEAT_MS;

/** Requests that a list has on their way. */
const READ_AT_ONCE = 50;

/** This process, as records name it. */
export const PROCESS = `${hostname()}:${process.pid}`;

/** Name of one that works on a replay: two of one process have two names. */
export const newRunner = (): string => `${PROCESS}:${Math.random().toString(36).slice(2, 8)}`;

/** Whether a process works on this replay or waits with it. The death of one on this machine is known at once, of others by their silence. */
export function isAlive(state: ReplayState, nowMs: number): boolean {
  if (state.status !== 'running' && state.status !== 'paused') return false;
  if (nowMs - Date.parse(state.heartbeatAt) >= DEAD_AFTER_MS) return false;
  const [host, pid] = state.runner.split(':');
  return host !== hostname() || isProcess(Number(pid));
}

function isProcess(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The KV bucket of the replays: orders, states and control requests, kept for ever. */
export class ReplayLog {
  readonly #nc: NatsConnectionLike;
  readonly #bucket: Bucket;

  constructor(
    nc: NatsConnectionLike,
    names: WireNames,
    options: { readonly domain?: string | undefined; readonly replicas?: number | undefined },
  ) {
    this.#nc = nc;
    this.#bucket = new Bucket(nc, names.replays, {
      ...(options.domain === undefined ? {} : { domain: options.domain }),
      ...(options.replicas === undefined ? {} : { replicas: options.replicas }),
    });
  }

  /** @throws LoopstackError REPLAY_EXISTS */
  async create(order: ReplayOrder, state: ReplayState): Promise<void> {
    if (!(await this.#bucket.create(`${order.id}.order`, order))) throw new LoopstackError('REPLAY_EXISTS', { id: order.id });
    await this.#bucket.put(`${order.id}.state`, state);
  }

  /** @throws LoopstackError REPLAY_UNKNOWN */
  async get(id: string): Promise<ReplayReport> {
    const [order, state] = await Promise.all([this.#bucket.get<ReplayOrder>(`${id}.order`), this.#bucket.get<ReplayState>(`${id}.state`)]);
    if (!order) throw new LoopstackError('REPLAY_UNKNOWN', { id });
    return report(ServerClock.of(this.#nc).nowMs(), order, state);
  }

  /** Newest first. */
  async list(limit: number): Promise<readonly ReplayReport[]> {
    const orders = await this.#bucket.list<ReplayOrder>('*.order');
    const newest = orders.toSorted((a, b) => b.at.localeCompare(a.at)).slice(0, limit);
    const reports: ReplayReport[] = [];
    for (let from = 0; from < newest.length; from += READ_AT_ONCE) {
      const read = newest.slice(from, from + READ_AT_ONCE).map(async (order) => {
        const state = await this.#bucket.get<ReplayState>(`${order.id}.state`);
        return report(ServerClock.of(this.#nc).nowMs(), order, state);
      });
      reports.push(...(await Promise.all(read)));
    }
    return reports;
  }

  /** Writes the state; the order does not change. */
  async write({ id, request: _request, by: _by, at: _at, stream: _stream, bound: _bound, ...state }: ReplayReport): Promise<void> {
    await this.#bucket.put(`${id}.state`, state satisfies ReplayState);
  }

  /** Asks the process that works on a replay. */
  async ask(id: string, request: ControlRequest['request'], by: string): Promise<void> {
    await this.#bucket.put(`${id}.control`, { request, by, at: ServerClock.of(this.#nc).isoNow() } satisfies ControlRequest);
  }

  /** The last control request. */
  requested(id: string): Promise<ControlRequest | undefined> {
    return this.#bucket.get<ControlRequest>(`${id}.control`);
  }
}

/** A replay whose process is silent is interrupted, whatever it wrote last. */
function report(nowMs: number, order: ReplayOrder, state: ReplayState = newState(order.by, order.at)): ReplayReport {
  const status = state.status === 'running' && !isAlive(state, nowMs) ? 'interrupted' : state.status;
  return { ...order, ...state, status };
}

export function newState(by: string, at: string, runner = ''): ReplayState {
  return {
    status: 'running',
    counts: NO_COUNTS,
    position: 0,
    checkpointSequence: 0,
    workedMs: 0,
    invalid: [],
    runner,
    heartbeatAt: at,
    startedAt: at,
    actions: [{ action: 'start', by, at }],
  };
}

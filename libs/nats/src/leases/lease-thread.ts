import {
  dialPatiently,
  followConnection,
  reconnectElsewhere,
  steadyDials,
  withCredentials,
  JetStreamApi,
  QUORUM_CHECK_MS,
  QuorumWatch,
} from '@loopstack/jetstream';
import { HEADER, monotonicMs } from '@loopstack/shared';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import type { ConnectionOptions } from 'nats';
import { LeaseTable } from './lease-table.js';
import { ProcessGuard } from './process-guard.js';

/** What the main thread hands to the lease thread. */
export interface LeaseThreadData {
  readonly memory: SharedArrayBuffer;
  /** Undefined: the main thread keeps leases alone, and this one only sees to it that it does not stand still. */
  readonly connect: ConnectionOptions | undefined;
  readonly credentials: Uint8Array | undefined;
  readonly everyMs: number;
  /** The process of a main thread that stands still for longer is ended. */
  readonly maxBlockedMs: number;
  /** The stream of the commands, and where it is. */
  readonly stream: string;
  readonly domain: string | undefined;
}

/**
 * After a reconnect: what was renewed over the last connection may not have been heard, and while a cluster elects a leader, 4 to 10 s, nothing is.
 */
const HURRY_MS = 10_000;
const HURRIED_AFTER_MS = 1000;

const IN_PROGRESS = new TextEncoder().encode('+WPI');

/** What the threads say to each other. */
export type ToThread = 'here' | 'stop';
export type FromThread = 'ready' | 'here?';

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
const tell = (message: FromThread): void => parentPort?.postMessage(message);

async function keep(data: LeaseThreadData, connect: ConnectionOptions, table: LeaseTable, guard: ProcessGuard): Promise<void> {
  const { credentials, everyMs, stream, domain } = data;
  const nc = await dialPatiently(withCredentials(connect, credentials), () => undefined);
  const api = new JetStreamApi(nc, domain);
  guard.commands = { api, stream, runIdHeader: HEADER.RUN_ID };
  steadyDials(nc);
  let connected = true;
  let hurriedUntilMs = 0;
  const timer = setInterval(() => {
    const now = monotonicMs();
    if (!connected) return;
    table.renewDue(now, (reply) => nc.publish(reply, IN_PROGRESS), now < hurriedUntilMs ? HURRIED_AFTER_MS : undefined);
  }, everyMs);
  const majority = new QuorumWatch(api, stream);
  let looking = false;
  const watch = setInterval(() => {
    if (looking || !connected) return;
    looking = true;
    void majority.isCutOff().then(async (isCutOff) => {
      if (isCutOff) await reconnectElsewhere(nc);
      looking = false;
    });
  }, QUORUM_CHECK_MS);
  tell('ready');
  stopped = (): void => {
    clearInterval(timer);
    clearInterval(watch);
    void nc.close();
  };
  followConnection(nc, {
    disconnected: () => (connected = false),
    reconnected: () => {
      connected = true;
      hurriedUntilMs = monotonicMs() + HURRY_MS;
    },
  });
}

let stopped = (): void => parentPort?.close();

function begin(data: LeaseThreadData): void {
  const table = new LeaseTable(data.memory);
  const guard = new ProcessGuard(table, data.maxBlockedMs, () => tell('here?'));
  parentPort?.on('message', (message: ToThread) => {
    if (message === 'here') {
      guard.heard();
      return;
    }
    guard.stop();
    stopped();
    parentPort?.close();
  });
  guard.start();
  // Not awaited: a module that is never done is warned of at exit. A rejection ends the thread, and the main thread hears of it.
  if (data.connect) void keep(data, data.connect, table, guard);
  else tell('ready');
}

/** Whether this file was loaded as a thread: where it was not, it does nothing. */
export const isLeaseThread = !isMainThread && parentPort !== null;

if (isLeaseThread) begin(workerData as LeaseThreadData);

import { reconnectElsewhere } from '@loopstack/client';
import { parentPort, workerData } from 'node:worker_threads';
import { Events, type ConnectionOptions } from 'nats';
import { connectWith } from './connection.js';
import { JetStreamApi } from './jetstream-api.js';
import { LeaseTable } from './lease-table.js';
import { MAJORITY_MS, MajorityWatch } from './majority.js';

/** What the main thread hands to the lease thread. */
export interface LeaseThreadData {
  readonly memory: SharedArrayBuffer;
  readonly connect: ConnectionOptions;
  readonly credentials: Uint8Array | undefined;
  readonly everyMs: number;
  /** A main thread that is silent for longer is taken for dead, and its leases run out. */
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

async function keep({ memory, connect, credentials, everyMs, maxBlockedMs, stream, domain }: LeaseThreadData): Promise<void> {
  const table = new LeaseTable(memory);
  const nc = await connectWith(connect, credentials);
  let connected = true;
  let hurriedUntilMs = 0;
  const timer = setInterval(() => {
    const now = Date.now();
    if (!connected || now - table.beatAtMs >= maxBlockedMs) return;
    table.renewDue(now, (reply) => nc.publish(reply, IN_PROGRESS), now < hurriedUntilMs ? HURRIED_AFTER_MS : undefined);
  }, everyMs);
  const majority = new MajorityWatch(new JetStreamApi(nc, domain), stream);
  let looking = false;
  const watch = setInterval(() => {
    if (looking || !connected) return;
    looking = true;
    void majority.isCutOff().then(async (isCutOff) => {
      if (isCutOff) await reconnectElsewhere(nc);
      looking = false;
    });
  }, MAJORITY_MS);
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
  parentPort?.postMessage('ready');
  parentPort?.once('message', () => {
    clearInterval(timer);
    clearInterval(watch);
    void nc.close();
  });
  for await (const { type } of nc.status()) {
    if (type === Events.Disconnect) connected = false;
    if (type !== Events.Reconnect) continue;
    connected = true;
    hurriedUntilMs = Date.now() + HURRY_MS;
  }
}

await keep(workerData as LeaseThreadData);

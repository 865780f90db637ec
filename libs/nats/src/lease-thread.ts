import { parentPort, workerData } from 'node:worker_threads';
import { Events, type ConnectionOptions } from 'nats';
import { connectWith } from './connection.js';
import { LeaseTable } from './lease-table.js';

/** What the main thread hands to the lease thread. */
export interface LeaseThreadData {
  readonly memory: SharedArrayBuffer;
  readonly connect: ConnectionOptions;
  readonly credentials: Uint8Array | undefined;
  readonly everyMs: number;
  /** A main thread that is silent for longer is taken for dead, and its leases run out. */
  readonly maxBlockedMs: number;
}

const IN_PROGRESS = new TextEncoder().encode('+WPI');

async function keep({ memory, connect, credentials, everyMs, maxBlockedMs }: LeaseThreadData): Promise<void> {
  const table = new LeaseTable(memory);
  const nc = await connectWith(connect, credentials);
  let connected = true;
  const timer = setInterval(() => {
    const now = Date.now();
    if (connected && now - table.beatAtMs < maxBlockedMs) table.renewDue(now, (reply) => nc.publish(reply, IN_PROGRESS));
  }, everyMs);
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
  parentPort?.postMessage('ready');
  parentPort?.once('message', () => {
    clearInterval(timer);
    void nc.close();
  });
  for await (const { type } of nc.status()) {
    if (type === Events.Disconnect) connected = false;
    if (type === Events.Reconnect) connected = true;
  }
}

await keep(workerData as LeaseThreadData);

import { MAIN_RENEWALS_PER_LEASE } from './lease-table.js';
import type { LeasedMessage } from './leased-message.js';

/**
 * One pass over what a consumer holds: renews every lease that is half of its period old, and gives up those that are older than the
 * period, because another process may have them. What settles fast costs nothing.
 */
export function keepLeases<T extends Pick<LeasedMessage, 'settled' | 'leasedAtMs' | 'extend'>>(
  held: Iterable<T>,
  leaseMs: number,
  nowMs: number,
  connected: boolean,
  lost: (message: T) => void,
): void {
  for (const message of held) {
    if (message.settled) continue;
    const ageMs = nowMs - message.leasedAtMs;
    if (ageMs >= leaseMs) lost(message);
    else if (connected && ageMs >= leaseMs / MAIN_RENEWALS_PER_LEASE) message.extend(nowMs);
  }
}

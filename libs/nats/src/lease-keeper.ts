import type { CommandMessage } from './command-message.js';

/** What a keeper needs of a group of leases that share one period. */
export interface LeaseGroup {
  readonly leaseMs: number;
  readonly leases: ReadonlySet<CommandMessage>;
}

/**
 * Extends every lease that is a third of its period old, and gives up those that are older than the period: another
 * worker may have them. One pass over what is held instead of a timer for each; what settles fast costs nothing.
 */
export function keepLeases(group: LeaseGroup, nowMs: number, lost: (message: CommandMessage) => void): void {
  for (const message of group.leases) {
    if (message.settled) continue;
    const ageMs = nowMs - message.leasedAtMs;
    if (ageMs >= group.leaseMs) lost(message);
    else if (ageMs >= group.leaseMs / 3) message.extend(nowMs);
  }
}

import { LoopstackError } from '@loopstack/shared/contract';
import type { NatsConnectionLike } from './nats-connection.js';

/** Major and minor. */
export type ServerRelease = readonly [major: number, minor: number];

/** The oldest server with all that is relied on: batches that are stored as a whole, delayed messages. */
export const OLDEST_SERVER: ServerRelease = [2, 12];

/** Whether a version, such as `2.14.0-RC.1`, has what came with a release. */
export function isAtLeast(version: string, [major, minor]: ServerRelease): boolean {
  const [has = 0, hasMinor = 0] = version.split(/[.-]/).map(Number);
  return has > major || (has === major && hasMinor >= minor);
}

/** True also while the version is not known (disconnected). */
export function serverHas(nc: NatsConnectionLike, major: number, minor: number): boolean {
  const version = nc.info?.version;
  return version === undefined || isAtLeast(version, [major, minor]);
}

/** @throws LoopstackError SERVER_TOO_OLD */
export function requireServer(nc: NatsConnectionLike, feature: string, major: number, minor: number): void {
  if (serverHas(nc, major, minor)) return;
  throw new LoopstackError('SERVER_TOO_OLD', { feature, needed: `${major}.${minor}`, version: nc.info?.version });
}

/** @throws LoopstackError SERVER_TOO_OLD */
export function requireSupportedServer(nc: NatsConnectionLike): void {
  requireServer(nc, 'Loopstack', ...OLDEST_SERVER);
}

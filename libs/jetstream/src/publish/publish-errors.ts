import { LoopstackError } from '@loopstack/shared/contract';

/** No server took the message now. */
export function unavailable(subject: string, reason: string, cause?: unknown): LoopstackError {
  return new LoopstackError('PUBLISH_UNAVAILABLE', { subject, reason }, { cause });
}

export function disconnected(subject: string): LoopstackError {
  return unavailable(subject, 'the connection is down');
}

/** The server, or the client library, does not take the message. */
export function refused(subject: string, reason: string, cause?: unknown): LoopstackError {
  return new LoopstackError('PUBLISH_REFUSED', { subject, reason }, { cause });
}

import { LoopstackError, type DeadLetter, type WireNames } from '@loopstack/shared/contract';
import { requestFailure, type NatsConnectionLike } from '@loopstack/jetstream';

/** Longest wait for a binding to use an event again. */
const TIMEOUT_MS = 30_000;

/** The answer of a worker that was asked to use an event again. */
export interface RedriveAnswer {
  readonly error?: string;
  /** Not tried: the worker already uses as many events again as it may. */
  readonly busy?: boolean;
}

const encoder = new TextEncoder();

/**
 * Gives the event of a dead letter to its binding again. What a binding does with an event is in the code of its
 * workers, so it is one of them that is asked; the letter stays until one has said that it is done.
 * @throws LoopstackError BINDING_UNAVAILABLE, EVENT_INVALID
 */
export async function requestRedrive(nc: NatsConnectionLike, names: WireNames, letter: DeadLetter, binding: string): Promise<void> {
  let answer: RedriveAnswer;
  try {
    const request = encoder.encode(JSON.stringify({ deadSequence: letter.deadSequence }));
    answer = (await nc.request(names.redrive(binding), request, { timeout: TIMEOUT_MS })).json<RedriveAnswer>();
  } catch (cause) {
    const reason = requestFailure(cause) === 'no-responders' ? 'no worker consumes it now' : (cause as Error).message;
    throw new LoopstackError('BINDING_UNAVAILABLE', { binding, reason }, { cause });
  }
  if (answer.busy === true) throw new LoopstackError('BINDING_UNAVAILABLE', { binding, reason: answer.error });
  if (answer.error !== undefined) {
    throw new LoopstackError('EVENT_INVALID', { stream: letter.stream, sequence: letter.sequence, binding, reason: answer.error });
  }
}

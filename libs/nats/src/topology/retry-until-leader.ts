import { LoopstackError, monotonicMs } from '@loopstack/shared';
import { Logger } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import { isUnavailable } from '@loopstack/jetstream';

/** A cluster of three has a leader again after 4 to 10 s; one that starts as a whole takes longer. */
const ELECTION_MS = 30_000;
/** Between attempts. */
const RETRY_MS = 250;

const logger = new Logger('Nats');

/**
 * A step of the boot, begun again while a cluster elects a leader, for up to 30 s. The step is one that may be done twice.
 * @param shouldContinue false: the application is closed while it starts
 * @throws what the last attempt threw
 */
export async function retryUntilLeader<T>(step: () => Promise<T>, shouldContinue = (): boolean => true): Promise<T> {
  const deadline = monotonicMs() + ELECTION_MS;
  for (let told = false; ; told = true) {
    try {
      return await step();
    } catch (error) {
      const passes = isUnavailable(error) || (error instanceof LoopstackError && error.retryable);
      if (!passes || !shouldContinue() || monotonicMs() > deadline) throw error;
      if (!told)
        logger.warn(`JetStream is asked again for ${ELECTION_MS / 1000} s, as a cluster may be electing a leader: ${error.message}`);
    }
    await delay(RETRY_MS);
  }
}

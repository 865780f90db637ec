import type { Logger } from '@nestjs/common';

/** Says that somebody has paused a durable, or that it goes on: nothing else tells why its messages wait. */
export function logPause(
  logger: Logger,
  { stream, durable }: { readonly stream: string; readonly durable: string },
  until: string | undefined,
): void {
  if (until === undefined) {
    logger.log(`Consumer ${durable} is not paused any more`);
    return;
  }
  const fix = `nats consumer resume ${stream} ${durable}`;
  logger.warn(`Consumer ${durable} was paused by somebody until ${until}: its messages wait. To go on: ${fix}`);
}

import type { PullTarget } from '@loopstack/jetstream';
import { Logger } from '@nestjs/common';

const logger = new Logger('Consumers');

/** Whether an operator has paused a durable on the server. The log tells of each change: nothing else says why its messages wait. */
export class Pause {
  readonly #target: PullTarget;
  #until: string | undefined;

  constructor(target: PullTarget) {
    this.#target = target;
  }

  /** ISO 8601 time at which it ends; undefined: the durable is not paused. */
  get until(): string | undefined {
    return this.#until;
  }

  /** Takes what the server says. @returns whether the durable has been resumed */
  apply(until: string | undefined): boolean {
    if (until === this.#until) return false;
    this.#until = until;
    const { stream, durable } = this.#target;
    if (until === undefined) {
      logger.log(`Consumer ${durable} is no longer paused`);
      return true;
    }
    const fix = `nats consumer resume ${stream} ${durable}`;
    logger.warn(`Consumer ${durable} is paused until ${until}: its messages wait. An operator did that; to resume: ${fix}`);
    return false;
  }
}

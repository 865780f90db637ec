import type { LoopstackClient } from '@loopstack/client';
import { LoopstackError } from '@loopstack/shared/contract';
import type { PayloadCheck } from './command-selector.js';

/** Checks commands by the catalogue that workers publish; refuses nothing where there is none. */
export function catalogueCheck(client: Pick<LoopstackClient, 'check'>): PayloadCheck {
  const refusal = (error: unknown): LoopstackError => {
    if (error instanceof LoopstackError) return error;
    throw error;
  };
  return { check: ({ workspace, workflow, payload }) => client.check({ workspace, workflow }, payload).then(() => undefined, refusal) };
}

import type { Refusal } from '@loopstack/shared';

/** Wait before a refused command is delivered again; twice as long each time. Half of those that two releases share reach the other one at once. */
const FIRST_DELAY_MS = 250;
/**
 * Longest of these waits. The broker knows no releases: where one worker of a hundred can do a command, the command comes
 * to it within a hundred deliveries in the mean, which is minutes with this.
 */
const MAX_DELAY_MS = 2000;
/** Each wait is moved by up to this share of itself, so that what was refused together does not return together. */
const JITTER = 0.2;
/** Most deliveries, whatever the time. */
const MAX_REFUSALS = 2500;

export interface RefusedPayload {
  /** What is known from earlier deliveries. */
  readonly before: Refusal | undefined;
  /** Id of the contract that refuses it now. */
  readonly contract: string;
  /** Ids of the contracts of other releases that run, and by which it is accepted. */
  readonly acceptedBy: readonly string[];
  /** Longest time that it waits in all. */
  readonly waitMs: number;
  /** Until its turn among others that are refused. */
  readonly turnMs: number;
}

/**
 * What becomes of a payload that this release refuses: it is given back for a worker of another release that accepts it and has
 * not refused it yet, for a bounded time. Undefined: no running worker can do it. Pure.
 * @param random uniform in [0, 1), for the jitter
 */
export function handOver(refused: RefusedPayload, random: number): { readonly refusal: Refusal; readonly delayMs: number } | undefined {
  const { before, contract, acceptedBy, waitMs, turnMs } = refused;
  const by = [...new Set([...(before?.by ?? []), contract])];
  if (!acceptedBy.some((other) => !by.includes(other))) return undefined;
  const count = (before?.count ?? 0) + 1;
  const waitedMs = before?.waitedMs ?? 0;
  // Times that are no numbers end it, too.
  if (!(waitedMs < waitMs) || !(count <= MAX_REFUSALS)) return undefined;
  const backoffMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (count - 1)) * (1 + JITTER * (2 * random - 1));
  const delayMs = Math.round(Math.max(backoffMs, turnMs));
  return { refusal: { count, waitedMs: waitedMs + delayMs, by }, delayMs };
}

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
/** Most deliveries, also where clocks say that there is still time. */
const MAX_REFUSALS = 2500;

export interface RefusedPayload {
  /** What is known from earlier deliveries. */
  readonly before: Refusal | undefined;
  /** Id of the contract that refuses it now. */
  readonly contract: string;
  /** Ids of the contracts of other releases that run, and by which it is accepted. */
  readonly acceptedBy: readonly string[];
  readonly nowMs: number;
  /** Longest time from the first refusal on. */
  readonly waitMs: number;
}

/**
 * What becomes of a payload that this release refuses: it is given back for a worker of another release that accepts it and has
 * not refused it yet, for a bounded time. Undefined: nobody who runs can do it. Pure.
 * @param random uniform in [0, 1), for the jitter
 */
export function handOver(refused: RefusedPayload, random: number): { readonly refusal: Refusal; readonly delayMs: number } | undefined {
  const { before, contract, acceptedBy, nowMs, waitMs } = refused;
  const by = [...new Set([...(before?.by ?? []), contract])];
  if (!acceptedBy.some((other) => !by.includes(other))) return undefined;
  const sinceMs = Date.parse(before?.since ?? '');
  // A clock that is ahead does not make the time longer.
  const firstMs = Number.isNaN(sinceMs) ? nowMs : Math.min(sinceMs, nowMs);
  const count = (before?.count ?? 0) + 1;
  if (nowMs - firstMs >= waitMs || count > MAX_REFUSALS) return undefined;
  const delayMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (count - 1)) * (1 + JITTER * (2 * random - 1));
  return { refusal: { since: new Date(firstMs).toISOString(), count, by }, delayMs: Math.round(delayMs) };
}

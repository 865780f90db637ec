import type { WorkflowRunner } from '@loopstack/core';
import { LoopstackError } from '@loopstack/shared';
import type { Config, JetStreamApi } from '@loopstack/jetstream';
import type { ResolvedNatsOptions } from '../options.js';

const NS_PER_MS = 1_000_000;

/** What must not be forgotten of a signed command while a copy of it would be taken for genuine. */
export interface Windows {
  /** Message ids: the server drops a copy. 0: they are not kept. */
  readonly deduplicationMs: number;
  /** Starts: a worker does not execute a copy. Infinity: they are kept for ever. */
  readonly eventsMs: number;
}

/** What is wrong with them for signatures that are good for `validityMs` in a workspace. Pure. */
export function windowProblems(workspace: string, validityMs: number, { deduplicationMs, eventsMs }: Windows): string[] {
  const tooShort = (option: string, ms: number): string =>
    `${option} is ${ms} ms, shorter than trust.${workspace}.maxValidity (${validityMs} ms), so a captured command could be stored again while its signature is good: raise the first or lower the second`;
  return [
    ...(deduplicationMs < validityMs ? [tooShort('runs.deduplication', deduplicationMs)] : []),
    ...(eventsMs < validityMs ? [tooShort('events.maxAge', eventsMs)] : []),
  ];
}

/**
 * Refuses streams that forget earlier than signatures expire. Asks the server: streams may be made by others.
 * @throws LoopstackError BOOT_FAILED
 */
export async function assertSignatureWindows(
  api: JetStreamApi,
  { names: { streams } }: ResolvedNatsOptions,
  runners: readonly WorkflowRunner[],
): Promise<void> {
  const validities = new Map<string, number>();
  for (const { entry, signatureValidityMs } of runners) {
    if (signatureValidityMs !== undefined) validities.set(entry.workspace, signatureValidityMs);
  }
  if (validities.size === 0) return;
  const config = async (stream: string): Promise<Config> => (await api.streamInfo(stream)).config;
  const [runs, events] = await Promise.all([config(streams.runs), config(streams.events)]);
  const windows = {
    deduplicationMs: ((runs['duplicate_window'] as number | undefined) ?? 0) / NS_PER_MS,
    eventsMs: ((events['max_age'] as number | undefined) || Number.POSITIVE_INFINITY) / NS_PER_MS,
  };
  const problems = [...validities].flatMap(([workspace, validityMs]) => windowProblems(workspace, validityMs, windows));
  if (problems.length > 0) throw new LoopstackError('BOOT_FAILED', { problems: problems.join('; ') });
}

import type { Contender } from '../contender.js';

/** Loaded where it is used: a process has the code of its own contender only. */
export const CONTENDERS = {
  loopstack: async (): Promise<Contender> => (await import('./loopstack.js')).loopstack,
  bare: async (): Promise<Contender> => (await import('./bare.js')).bare,
  ceiling: async (): Promise<Contender> => (await import('./ceiling.js')).ceiling,
  bullmq: async (): Promise<Contender> => (await import('./bullmq.js')).bullmq,
  nestPlugins: async (): Promise<Contender> => (await import('./plugins.js')).nestPlugins,
  horizon: async (): Promise<Contender> => (await import('./plugins.js')).horizon,
  bullmqKeeping: async (): Promise<Contender> => (await import('./bullmq.js')).bullmqKeeping,
} as const;

export type ContenderName = keyof typeof CONTENDERS;

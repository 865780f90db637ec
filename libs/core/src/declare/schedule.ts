import { isName, isUserId, type Recurrence, type ScheduleOptions, invalidOption, refusedOption } from '@loopstack/shared';
import 'reflect-metadata';
import type { RegisteredWorkflow } from './registry.js';

/** How a workflow is started again and again. */
export interface ScheduleDeclaration extends ScheduleOptions {
  /** Names the schedule among those of the workflow. Default `default`. */
  readonly id?: string;
  /** On whose behalf. Default `schedule`. */
  readonly userId?: string;
  /** Default `{}`. */
  readonly payload?: unknown;
}

/** A declaration, complete. */
export interface DeclaredSchedule {
  readonly id: string;
  readonly recurrence: Recurrence;
  readonly userId: string;
  readonly payload: unknown;
  readonly options: ScheduleOptions;
}

/** Ids of schedules that code declares start with this: a worker removes those that its code no longer declares, and no others. */
export const DECLARED = 'declared-';

const SCHEDULES = Symbol.for('loopstack:schedules');

interface Declaration {
  readonly recurrence: Recurrence;
  readonly declaration: ScheduleDeclaration;
}

/**
 * Starts the workflow at each time of a recurrence: `@Schedule('0 0 9 * * *', { timeZone: 'Europe/Berlin' })` (second minute
 * hour day month weekday), `@Schedule({ every: '10m' })`. Kept by the server, so it fires once for any number of replicas.
 * Several may stand on one class, each with an id. What the code no longer declares is removed at the next start of a worker.
 */
export function Schedule(recurrence: Recurrence, declaration: ScheduleDeclaration = {}): ClassDecorator {
  return (target) => {
    const known = (Reflect.getOwnMetadata(SCHEDULES, target) as readonly Declaration[] | undefined) ?? [];
    Reflect.defineMetadata(SCHEDULES, [{ recurrence, declaration }, ...known], target);
  };
}

/** The schedules that a workflow's class declares. @throws LoopstackError OPTION_INVALID */
export function declaredSchedules({ type, workflow }: Pick<RegisteredWorkflow, 'type' | 'workflow'>): readonly DeclaredSchedule[] {
  const declarations = (Reflect.getOwnMetadata(SCHEDULES, type) as readonly Declaration[] | undefined) ?? [];
  const ids = new Set<string>();
  return declarations.map(({ recurrence, declaration: { id = 'default', userId = 'schedule', payload = {}, ...options } }) => {
    const option = `@Schedule of ${workflow}`;
    if (!isName(id) || ids.has(id)) {
      throw refusedOption(`${option}: id`, 'a name that no other @Schedule of the class has', id);
    }
    if (!isUserId(userId)) throw invalidOption(`${option}: userId`, 'a string of 1 to 256 characters', userId);
    ids.add(id);
    return { id: `${DECLARED}${id}`, recurrence, userId, payload, options };
  });
}

import 'reflect-metadata';
import { LoopstackError, RUN_EVENT_TYPES, isName, jsonType, type RunEventType, refusedOption } from '@loopstack/shared';
import { withCause } from './cause.js';
import { mangledName } from '../declare/class-name.js';
import { checkStartFrom, type StartFrom } from './on-event.js';
import type { Provided } from '../declare/provided.js';
import type { RunNotice } from '../run/run-notice.js';
import { resolveRetry, type RetryOptions, type RetryPolicy } from '../run/settle.js';
import { workflowName, workspaceName, type ResultOf, type WorkflowClass, type WorkspaceClass } from '../declare/workflow.js';

/** All optional. */
export interface OnRunOptions {
  /** Class or name. Default: every workspace that has the workflow. */
  readonly workspace?: string | WorkspaceClass;
  /**
   * `durable`: each event once for all processes of the service, also those that came while none ran. `live`: in every
   * process, while it runs. Default `durable`.
   */
  readonly delivery?: 'durable' | 'live';
  /** Name of the durable within the service. Default `Class.method`: give one before you rename either. */
  readonly name?: string;
  /** Where a new durable begins. Default `now`. */
  readonly from?: StartFrom;
  /** What is done when the method fails. Default: 5 attempts, the first wait 1 s; then it is logged, and an alarm is raised. */
  readonly retry?: RetryOptions;
  /** Calls of the method at a time, in one process. Default 16. */
  readonly concurrency?: number;
}

interface Declaration {
  readonly method: string;
  readonly workflow: string | WorkflowClass;
  readonly types: readonly RunEventType[];
  readonly options: OnRunOptions;
}

/** A method that is called for what happens to runs. */
export interface Reaction {
  readonly name: string;
  /** `*`: every workspace. */
  readonly workspace: string;
  readonly workflow: string;
  readonly types: ReadonlySet<RunEventType>;
  readonly delivery: 'durable' | 'live';
  readonly from: StartFrom;
  readonly retry: RetryPolicy;
  readonly concurrency: number;
  /** Calls the method; runs that it starts have the run as their cause. */
  readonly call: (run: RunNotice) => unknown;
}

const ON_RUN = Symbol.for('loopstack:on-run');

/**
 * Calls a method of any provider or controller, in any service, for what happens to runs of a workflow. At least once for
 * each event, unless `delivery` is `live`.
 * @param types events of a run; `started` and `progress` are recorded only by workflows with `record: 'full'`
 */
export function OnRun<W extends WorkflowClass, On extends RunEventType>(
  workflow: W,
  types: On | readonly On[],
  options?: OnRunOptions,
): <M extends (run: RunNotice<ResultOf<W>, On>) => unknown>(target: object, method: string, descriptor: TypedPropertyDescriptor<M>) => void;
export function OnRun<Result = unknown, On extends RunEventType = RunEventType>(
  workflow: string,
  types: On | readonly On[],
  options?: OnRunOptions,
): <M extends (run: RunNotice<Result, On>) => unknown>(target: object, method: string, descriptor: TypedPropertyDescriptor<M>) => void;
export function OnRun(workflow: string | WorkflowClass, types: RunEventType | readonly RunEventType[], options: OnRunOptions = {}) {
  return (target: object, method: string): void => {
    const declaration: Declaration = { method, workflow, types: typeof types === 'string' ? [types] : types, options };
    const { constructor } = target;
    Reflect.defineMetadata(ON_RUN, [...declared(constructor), declaration], constructor);
  };
}

/** A subclass inherits what its parent's methods declared. */
function declared(type: object): readonly Declaration[] {
  return (Reflect.getMetadata(ON_RUN, type) as readonly Declaration[] | undefined) ?? [];
}

export function hasReactions(type: object): boolean {
  return declared(type).length > 0;
}

/** A provider or controller as discovery sees it. */
export type ReactionCandidate = Pick<Provided, 'instance'> & { readonly type: { readonly name: string } & object };

/** The reactions that some classes declare, complete, or all problems. @throws LoopstackError BOOT_FAILED */
export function resolveReactions(candidates: readonly ReactionCandidate[], service: string | undefined): readonly Reaction[] {
  const problems: string[] = [];
  const reactions: Reaction[] = [];
  for (const { type, instance } of candidates) {
    for (const declaration of declared(type)) {
      // A test's stand-in for the class, without this method.
      if (instance && typeof (instance as Record<string, unknown>)[declaration.method] !== 'function') continue;
      try {
        reactions.push(resolveReaction(type.name, instance, declaration, service));
      } catch (error) {
        problems.push((error as Error).message);
      }
    }
  }
  for (const [i, { name }] of reactions.entries()) {
    if (reactions.slice(0, i).some((other) => other.name === name))
      problems.push(`two @OnRun methods have the name ${name}: give one of them another \`name\``);
  }
  if (problems.length > 0) throw new LoopstackError('BOOT_FAILED', { problems: problems.join('; ') });
  return reactions;
}

function resolveReaction(className: string, instance: object | undefined, declaration: Declaration, service: string | undefined): Reaction {
  const { method, options } = declaration;
  const option = `@OnRun of ${className}.${method}`;
  const refuse = (what: string, expected: string, received: string): never => {
    throw refusedOption(`${option}: ${what}`, expected, received);
  };
  if (!instance) return refuse('provider', 'a singleton', 'a request-scoped or transient one');
  const { delivery = 'durable', concurrency = 16 } = options;
  const mangled = options.name === undefined && delivery === 'durable' ? mangledName(className) : undefined;
  if (mangled !== undefined) throw new LoopstackError('BOOT_FAILED', { problems: `${option}: ${mangled}` });
  if (delivery !== 'durable' && delivery !== 'live') refuse('delivery', 'durable or live', JSON.stringify(delivery));
  if (delivery === 'durable' && service === undefined) {
    refuse('delivery', 'LoopstackModule.forRoot({ service }) with the name of this service for a durable one', 'none');
  }
  if (!Number.isSafeInteger(concurrency) || concurrency < 1) refuse('concurrency', 'a positive integer', String(concurrency));
  const unknown = declaration.types.find((type) => !RUN_EVENT_TYPES.includes(type));
  if (unknown !== undefined || declaration.types.length === 0)
    refuse('types', RUN_EVENT_TYPES.join(', '), unknown === undefined ? 'none' : JSON.stringify(unknown));
  if (typeof declaration.workflow !== 'string' && typeof declaration.workflow !== 'function') {
    refuse('workflow', 'a workflow or its name', jsonType(declaration.workflow));
  }
  const workflow = workflowName(declaration.workflow);
  const workspace = options.workspace === undefined ? '*' : workspaceName(options.workspace);
  if (!isName(workflow)) refuse('workflow', 'a name', JSON.stringify(workflow));
  if (workspace !== '*' && !isName(workspace)) refuse('workspace', 'a name', JSON.stringify(workspace));
  const call = (instance as Record<string, unknown>)[method] as (run: RunNotice) => unknown;
  return {
    name: options.name ?? `${className}.${method}`,
    workspace,
    workflow,
    types: new Set(declaration.types),
    delivery,
    from: checkStartFrom(`${option}: from`, options.from ?? 'now'),
    retry: resolveRetry(`${option}: retry`, { attempts: 5, ...options.retry }),
    concurrency,
    call: (run) => withCause(run, () => call.call(instance, run)),
  };
}

import 'reflect-metadata';
import { packageUrl } from '#package-url';
import { Injectable, type Type } from '@nestjs/common';
import {
  assertName,
  durationMs,
  recordCopy,
  sizeBytes,
  type Duration,
  type JsonOf,
  type OutcomeType,
  type Size,
  invalidOption,
  refusedOption,
} from '@loopstack/shared';
import { declaredEvents, resolveBindings, type EventBinding, type ResolvedBinding, type StartFrom } from '../events/on-event.js';
import { resolveRedaction, type RedactOptions, type Redactor } from './redact.js';
import type { RunNotice } from '../run/run-notice.js';
import { resolveRetry, type RetryOptions, type RetryPolicy } from '../run/settle.js';
import type { RunContext } from '../run/run-context.js';
import { payloadValidator, type PayloadValidator } from '../validation/payload-validator.js';
import type { UnknownFields } from '../validation/plan.js';

/** A class that `@Workflow` may decorate. */
export interface WorkflowInstance<Payload = never, Result = unknown> {
  run(payload: Payload, context: RunContext): Result | Promise<Result>;
}
export type WorkflowClass<Payload = never, Result = unknown> = Type<WorkflowInstance<Payload, Result>>;
export type PayloadOf<W> = W extends WorkflowClass<infer Payload> ? Payload : never;
/** What `result()` resolves with: what the workflow returns, as JSON brings it back. */
export type ResultOf<W> = W extends Type<{ run(...args: never[]): infer Result }> ? JsonOf<Awaited<Result>> : never;
export type WorkspaceClass = Type<object>;

/** `NoInfer`, which TypeScript has from 5.4 on. */
type Uninferred<T> = [T][T extends unknown ? 0 : never];

/** How much of a run is recorded as events; each step costs throughput. */
export type Recording = 'none' | 'outcome' | 'full';

/** What a workflow may say of itself. All optional. */
export interface WorkflowOptions<Payload extends object = object> {
  /** Name on the wire. Default: the class name. */
  readonly name?: string;
  readonly title?: string;
  readonly description?: string;
  /** Class with class-validator rules. Without one, any JSON value is accepted. */
  readonly payload?: Type<Payload>;
  /**
   * Fields that the payload class, or a class nested in it, does not declare: `refuse` them, `strip` them, or `keep` them unchecked.
   * Default `refuse`: an error reports a misspelled optional field, and unchecked data reaches no entity.
   */
  readonly unknownFields?: UnknownFields;
  /**
   * How long a command that this release refuses waits for a worker of another release that runs and accepts it. Default `'1h'`: long enough
   * for a roll-out, and for one new worker among a hundred; when no such release runs any more, the command is dead-lettered at once. `'0s'`: always at once.
   */
  readonly waitForRelease?: Duration;
  readonly retry?: RetryOptions;
  /** Runs of this workflow at a time, in one process. Default 16. */
  readonly concurrency?: number;
  /** Longest time of one attempt; then `ctx.signal` is aborted and the attempt has failed. Default `'15m'`. */
  readonly timeout?: Duration;
  /** Time without a sign of life from the worker after which another one takes the run over. Default `'30s'`, at least 1 s. A shorter one than before counts from when a worker starts while no other one consumes the workflow; a longer one at once. */
  readonly lease?: Duration;
  /** Default `outcome`: what the run returned or why it failed. `full` adds started and progress. `none` gives up `result()`, and the fence against a second outcome. */
  readonly record?: Recording;
  /** Largest result that is recorded, as JSON. Default `'64KiB'`. */
  readonly resultLimit?: Size;
  /**
   * Own queues for `priority: 'high'` and `'low'`. Default false: all priorities are taken in order of arrival. Queues that
   * a workflow has once stay, whatever a later release says (docs/adr/0011).
   */
  readonly priorities?: boolean;
  /** What of its payloads and errors is kept out of logs, events and dead letters; beside what the application's `redact` says. */
  readonly redact?: RedactOptions;
  /** Events that start the workflow; `@OnEvent` on the class says the same. */
  readonly on?: readonly EventBinding<Uninferred<Payload>>[];
  /** Workflows that are started when a run has succeeded. Where classes know each other in a circle: `() => OtherWorkflow`. */
  readonly then?: readonly ChainDeclaration[];
}

export interface ResolvedWorkflowOptions {
  readonly name: string;
  readonly title: string | undefined;
  readonly description: string | undefined;
  readonly payload: Type<object> | undefined;
  readonly unknownFields: UnknownFields;
  readonly waitForReleaseMs: number;
  readonly retry: RetryPolicy;
  readonly concurrency: number;
  readonly timeoutMs: number;
  readonly leaseMs: number;
  readonly record: Recording;
  readonly resultLimitBytes: number;
  readonly priorities: boolean;
  readonly redactor: Redactor | undefined;
  readonly on: readonly ResolvedBinding[];
  readonly chains: readonly ChainDeclaration[];
}

/** A function of a run's result and of the run; the application knows the result's type. */
export type OfRun<T> = { read(result: unknown, run: RunNotice): T | Promise<T> }['read'];

/** A workflow that is started when a run of another one has ended. */
export interface Chain {
  /** Class or name. */
  readonly workflow: string | WorkflowClass;
  /** Class or name. Default: the one workspace of this process that lists the workflow. */
  readonly workspace?: string | WorkspaceClass;
  /** The outcome that starts it. Default `succeeded`. */
  readonly on?: OutcomeType;
  /** Payload of the next run. What it throws makes a dead letter. Default: the result, or `{}` where there is none. */
  readonly map?: OfRun<unknown>;
  /** Default: the user of the run that ended. */
  readonly userId?: string | OfRun<string>;
  readonly when?: OfRun<boolean>;
  /** Default `now`: from the first start of a worker that declares it. */
  readonly from?: StartFrom;
}

export type ChainDeclaration = string | WorkflowClass | Chain | (() => WorkflowClass | Chain);

/** What an application may set for all of its workflows; a workflow's own options win. */
export type WorkflowDefaults = Pick<
  WorkflowOptions,
  'unknownFields' | 'waitForRelease' | 'retry' | 'concurrency' | 'timeout' | 'lease' | 'record' | 'resultLimit'
>;

function positiveInteger(option: string, value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 1) {
    throw invalidOption(option, 'a positive integer', value);
  }
  return value as number;
}

const UNKNOWN_FIELDS: readonly UnknownFields[] = ['refuse', 'strip', 'keep'];

/** @throws LoopstackError OPTION_INVALID */
function unknownFieldsOf(option: string, given: UnknownFields = 'refuse'): UnknownFields {
  if (UNKNOWN_FIELDS.includes(given)) return given;
  throw invalidOption(option, UNKNOWN_FIELDS.join(', '), given);
}

/** What validates the payload of a workflow class, without regard to where it is registered; undefined: any JSON value is taken. */
export function validatorOf(workflow: string | WorkflowClass, defaults: WorkflowDefaults = {}): PayloadValidator | undefined {
  const { payload, unknownFields = defaults.unknownFields } = workflowOptions(workflow) ?? {};
  return payload && payloadValidator(payload, unknownFields);
}

/** @throws LoopstackError OPTION_INVALID, NAME_INVALID */
export function resolveWorkflowOptions(
  className: string,
  own: WorkflowOptions,
  defaults: WorkflowDefaults = {},
  redact?: RedactOptions,
): ResolvedWorkflowOptions {
  const given = { ...defaults, ...own };
  const name = given.name ?? className;
  assertName(`workflow ${className}: name`, name);
  const option = (field: string): string => `${className}.${field}`;
  return Object.freeze({
    name,
    title: given.title,
    description: given.description,
    payload: given.payload,
    unknownFields: unknownFieldsOf(option('unknownFields'), given.unknownFields),
    waitForReleaseMs: durationMs(option('waitForRelease'), given.waitForRelease ?? '1h'),
    retry: resolveRetry(option('retry'), { ...defaults.retry, ...own.retry }),
    concurrency: positiveInteger(option('concurrency'), given.concurrency ?? 16),
    timeoutMs: positiveInteger(option('timeout'), durationMs(option('timeout'), given.timeout ?? '15m')),
    leaseMs: Math.max(1000, durationMs(option('lease'), given.lease ?? '30s')),
    record: given.record ?? 'outcome',
    resultLimitBytes: sizeBytes(option('resultLimit'), given.resultLimit ?? '64KiB'),
    priorities: given.priorities ?? false,
    redactor: resolveRedaction(option('redact'), own.redact, redact),
    on: resolveBindings(option('on'), given.on ?? []),
    chains: checkRecorded(option('then'), given),
  });
}

/** @throws LoopstackError OPTION_INVALID where no outcome is recorded that could start anything */
function checkRecorded(option: string, { then = [], record }: WorkflowOptions): readonly ChainDeclaration[] {
  if (then.length === 0 || record !== 'none') return then;
  throw refusedOption(option, 'a workflow that records its outcome', "record: 'none'");
}

export interface WorkspaceOptions {
  /** Name on the wire. Default: the class name. */
  readonly name?: string;
  readonly title?: string;
  readonly workflows: readonly WorkflowClass[];
}

recordCopy('@loopstack/core', packageUrl);

const WORKFLOW = Symbol.for('loopstack:workflow');
const WORKSPACE = Symbol.for('loopstack:workspace');

/**
 * Makes a class a workflow. It is a plain Nest provider: list it in the `providers` of a module, and in the
 * `workflows` of a `@Workspace`. Pipes, guards, interceptors and filters may be put on it as on a controller.
 */
export function Workflow<Payload extends object>(options: WorkflowOptions<Payload> = {}) {
  return <W extends WorkflowClass<Payload>>(target: W): void => {
    Injectable()(target);
    Reflect.defineMetadata(WORKFLOW, options, target);
  };
}

/** Groups workflows under one name: the third token of their subjects. A plain Nest provider, too. */
export function Workspace(options: WorkspaceOptions) {
  return (target: WorkspaceClass): void => {
    Injectable()(target);
    Reflect.defineMetadata(WORKSPACE, options, target);
  };
}

export function workflowOptions(target: unknown): WorkflowOptions | undefined {
  if (typeof target !== 'function') return undefined;
  const own = Reflect.getOwnMetadata(WORKFLOW, target) as WorkflowOptions | undefined;
  const events = declaredEvents(target);
  return own && events.length > 0 ? { ...own, on: [...(own.on ?? []), ...(events as readonly EventBinding<object>[])] } : own;
}

export function workspaceOptions(target: unknown): WorkspaceOptions | undefined {
  return typeof target === 'function' ? (Reflect.getOwnMetadata(WORKSPACE, target) as WorkspaceOptions | undefined) : undefined;
}

/** Wire name of a workflow, of its class or name. */
export function workflowName(workflow: string | WorkflowClass): string {
  return typeof workflow === 'function' ? (workflowOptions(workflow)?.name ?? workflow.name) : workflow;
}

/** Wire name of a workspace, of its class or name. */
export function workspaceName(workspace: string | WorkspaceClass): string {
  return typeof workspace === 'function' ? (workspaceOptions(workspace)?.name ?? workspace.name) : workspace;
}

import { LoopstackError, OUTCOMES, isName, jsonType, type OutcomeType, type RunAddress, refusedOption } from '@loopstack/shared';
import { readEvent, type EventTarget, type EventUse } from './event-use.js';
import { checkStartFrom, type StartFrom } from './on-event.js';
import type { RunNotice } from '../run/run-notice.js';
import {
  validatorOf,
  workflowName,
  workspaceName,
  type Chain,
  type ChainDeclaration,
  type OfRun,
  type WorkflowClass,
  type WorkflowDefaults,
} from '../declare/workflow.js';

export interface ResolvedChain {
  readonly upstream: RunAddress;
  readonly target: EventTarget;
  readonly on: OutcomeType;
  readonly map: OfRun<unknown> | undefined;
  readonly userId: string | OfRun<string> | undefined;
  readonly when: OfRun<boolean> | undefined;
  readonly from: StartFrom;
}

/**
 * The chains that start at a workflow, complete.
 * @param workspacesOf names of the workspaces of this process that list a workflow
 * @throws LoopstackError OPTION_INVALID
 */
export function resolveChains(
  upstream: RunAddress,
  declared: readonly ChainDeclaration[],
  workspacesOf: (workflow: string) => readonly string[],
  defaults: WorkflowDefaults = {},
): readonly ResolvedChain[] {
  const chains = declared.map((given, i) => resolveChain(`${upstream.workflow}.then[${i}]`, upstream, given, workspacesOf, defaults));
  const seen = new Set<string>();
  for (const { target, on } of chains) {
    const name = `${target.workspace}.${target.workflow} on ${on}`;
    if (seen.has(name)) throw refusedOption(`${upstream.workflow}.then`, 'each workflow once', name);
    seen.add(name);
  }
  return chains;
}

function resolveChain(
  option: string,
  upstream: RunAddress,
  given: ChainDeclaration,
  workspacesOf: (workflow: string) => readonly string[],
  defaults: WorkflowDefaults,
): ResolvedChain {
  const chain = chainOf(given);
  const refuse = (field: string, expected: string, received: string): never => {
    throw refusedOption(`${option}${field}`, expected, received);
  };
  // Modules that import each other leave an undefined class behind.
  if (typeof chain.workflow !== 'string' && typeof chain.workflow !== 'function') {
    refuse(
      '',
      'a workflow, its name, or { workflow, … } (a circular import? `() => OtherWorkflow` is read later)',
      jsonType(chain.workflow),
    );
  }
  const workflow = workflowName(chain.workflow);
  if (!isName(workflow)) refuse('.workflow', 'a name', JSON.stringify(workflow));
  const { on = 'succeeded' } = chain;
  if (!OUTCOMES.includes(on)) refuse('.on', OUTCOMES.join(', '), JSON.stringify(on));
  const target = {
    workspace: workspaceOf(chain, workflow, workspacesOf, refuse),
    workflow,
    validator: validatorOf(chain.workflow, defaults),
  };
  const { map, userId, when } = chain;
  return { upstream, target, on, map, userId, when, from: checkStartFrom(`${option}.from`, chain.from ?? 'now') };
}

function chainOf(given: ChainDeclaration): Chain {
  // An arrow function has no prototype, a class has.
  const read =
    typeof given === 'function' && given.prototype === undefined
      ? (given as () => WorkflowClass | Chain)()
      : (given as string | WorkflowClass | Chain);
  return typeof read === 'object' && read !== null ? read : { workflow: read };
}

function workspaceOf(
  chain: Chain,
  workflow: string,
  workspacesOf: (workflow: string) => readonly string[],
  refuse: (field: string, expected: string, received: string) => never,
): string {
  if (chain.workspace !== undefined) {
    const workspace = workspaceName(chain.workspace);
    return isName(workspace) ? workspace : refuse('.workspace', 'a name', JSON.stringify(workspace));
  }
  const known = workspacesOf(workflow);
  if (known.length === 1) return known[0] as string;
  const received =
    known.length === 0 ? `none, and no workspace of this process lists ${workflow}` : `none, and ${known.join(' and ')} list ${workflow}`;
  return refuse('.workspace', 'the workspace of the next workflow', received);
}

/**
 * What the end of a run comes to for the next workflow.
 * @param at where the end is recorded
 */
export function useOutcome(
  chain: ResolvedChain,
  run: RunNotice,
  at: { readonly stream: string; readonly sequence: number },
  maxDepth: number,
): Promise<EventUse> {
  const { result } = run;
  return readEvent(
    {
      wanted: () => run.type === chain.on && (chain.when ? chain.when(result, run) : true),
      payload: () => (chain.map ? chain.map(result, run) : (result ?? {})),
      userId: () => (typeof chain.userId === 'function' ? chain.userId(result, run) : (chain.userId ?? run.userId)),
    },
    chain.target,
    maxDepth,
    (reason, cause) => {
      const binding = `${run.workspace}.${run.workflow} then ${chain.target.workspace}.${chain.target.workflow}`;
      return new LoopstackError('EVENT_INVALID', { ...at, binding, reason }, { cause });
    },
  );
}

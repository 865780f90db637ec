import type { RunHandle, RunItem, RunOptions } from '@loopstack/shared';
import { workflowName, workspaceName, type PayloadOf, type ResultOf, type WorkflowClass, type WorkspaceClass } from './declare/workflow.js';

/** One run of a batch, by the class of its workflow, which types its payload. */
export interface WorkflowItem<W extends WorkflowClass> {
  readonly workflow: W;
  readonly workspace: string | WorkspaceClass;
  readonly payload: PayloadOf<W>;
  readonly userId: string;
  readonly options?: RunOptions;
}

/** One item for each of some classes. */
export type ItemsOf<Ws extends readonly WorkflowClass[]> = { readonly [I in keyof Ws]: WorkflowItem<Ws[I]> };
/** The handles of these items, each with the result of its workflow. */
export type HandlesOf<Ws extends readonly WorkflowClass[]> = { readonly [I in keyof Ws]: RunHandle<ResultOf<Ws[I]>> };

export type AnyItem = Omit<RunItem, 'workflow' | 'workspace'> & {
  readonly workflow: string | WorkflowClass;
  readonly workspace: string | WorkspaceClass;
};

/** An item as brokers take it: with names, and what they were made of. */
export type NamedItem = RunItem & { readonly declared?: WorkflowClass };

/** An item that cannot be read stays as it is; starting it reports the error. */
function named(item: AnyItem): NamedItem {
  try {
    const { workflow, workspace } = item;
    if (typeof workflow !== 'function' && typeof workspace !== 'function') return item as RunItem;
    const declared = typeof workflow === 'function' ? { declared: workflow } : {};
    return { ...item, workflow: workflowName(workflow), workspace: workspaceName(workspace), ...declared };
  } catch {
    return item as RunItem;
  }
}

export function* namedEach(items: Iterable<AnyItem>): Iterable<NamedItem> {
  for (const item of items) yield named(item);
}

export async function* namedLater(items: AsyncIterable<AnyItem>): AsyncIterable<NamedItem> {
  for await (const item of items) yield named(item);
}

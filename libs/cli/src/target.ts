import { LoopstackError, assertAddress, assertName, type RunAddress, type RunReference } from '@loopstack/shared/contract';
import { shownAddress as shown } from '@loopstack/operations';
import { UsageError } from './exit.js';

/** Edit distance with swaps of neighbors (optimal string alignment), without regard to case. */
export function distance(a: string, b: string): number {
  const [x, y] = [a.toLowerCase(), b.toLowerCase()];
  let beforeLast: number[] = [];
  let last = Array.from({ length: y.length + 1 }, (_, j) => j);
  for (let i = 1; i <= x.length; i++) {
    const row = [i];
    for (let j = 1; j <= y.length; j++) {
      const cost = x[i - 1] === y[j - 1] ? 0 : 1;
      let best = Math.min((last[j] as number) + 1, (row[j - 1] as number) + 1, (last[j - 1] as number) + cost);
      if (i > 1 && j > 1 && x[i - 1] === y[j - 2] && x[i - 2] === y[j - 1]) best = Math.min(best, (beforeLast[j - 2] as number) + 1);
      row.push(best);
    }
    beforeLast = last;
    last = row;
  }
  return last[y.length] as number;
}

/** The known name that was probably meant, if one is near enough. */
export function meant(name: string, known: readonly string[]): string | undefined {
  const limit = Math.max(2, Math.floor(name.length / 3));
  const ranked = known.map((candidate) => ({ candidate, far: distance(name, candidate) })).toSorted((a, b) => a.far - b.far);
  const best = ranked[0];
  return best !== undefined && best.far <= limit ? best.candidate : undefined;
}

/** The one known address whose names hold the given ones: Orders.ProcessOrder is short for OrdersWorkspace.ProcessOrderWorkflow. */
function longer({ workspace, workflow }: RunAddress, known: readonly RunAddress[]): string | undefined {
  const holds = (name: string, part: string): boolean => name.toLowerCase().includes(part.toLowerCase());
  const found = known.filter((one) => holds(one.workspace, workspace) && holds(one.workflow, workflow));
  return found.length === 1 ? shown(found[0] as RunAddress) : undefined;
}

/** `Workspace.Workflow`. @throws UsageError, LoopstackError NAME_INVALID */
export function parseTarget(text: string): RunAddress {
  const [workspace, workflow, ...more] = text.split('.');
  if (workspace === undefined || workflow === undefined || more.length > 0)
    throw new UsageError(`${JSON.stringify(text)} is not <Workspace>.<Workflow>`);
  const address = { workspace, workflow };
  assertAddress(address);
  return address;
}

/**
 * A run: `<id>`, or `<Workspace>.<Workflow>.<id>`.
 * @param place workspace and workflow as options
 * @throws UsageError, LoopstackError NAME_INVALID
 */
export function parseRun(text: string, { workspace, workflow }: Partial<RunAddress> = {}): string | RunReference {
  const tokens = text.split('.');
  if (tokens.length === 3) {
    const reference = { workspace: tokens[0] as string, workflow: tokens[1] as string, id: tokens[2] as string };
    assertAddress(reference);
    assertName('run id', reference.id);
    return reference;
  }
  assertName('run id', text);
  if (workspace === undefined && workflow === undefined) return text;
  if (workspace === undefined || workflow === undefined)
    throw new UsageError('the address of a run is both --workspace and --workflow, or <Workspace>.<Workflow>.<id>');
  assertAddress({ workspace, workflow });
  return { workspace, workflow, id: text };
}

export { shown };

/**
 * Refuses an unknown address, and suggests a similar one. Where no address is known, it refuses none.
 * @throws LoopstackError WORKSPACE_UNKNOWN, WORKFLOW_UNKNOWN; `fix` holds the suggestion
 */
export function checkKnown(address: RunAddress, known: readonly RunAddress[]): void {
  if (known.length === 0 || known.some((one) => shown(one) === shown(address))) return;
  const workspaces = [...new Set(known.map(({ workspace }) => workspace))];
  const guess = meant(shown(address), known.map(shown)) ?? longer(address, known);
  const inWorkspace = workspaces.includes(address.workspace);
  const error = new LoopstackError(inWorkspace ? 'WORKFLOW_UNKNOWN' : 'WORKSPACE_UNKNOWN', { ...address });
  const fix = guess === undefined ? `Known are ${known.map(shown).slice(0, 10).join(', ')}.` : `Did you mean ${guess}?`;
  throw Object.assign(error, { fix: `${fix} --no-check runs it all the same: a worker may come later.` });
}

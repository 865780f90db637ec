import { workflowName, type WorkflowClass } from '@loopstack/core';
import type { ErrorCode, RunReference } from '@loopstack/shared';
import type { MemoryRuntime } from './broker/memory-runtime.js';
import { runtimeOf } from './runtimes.js';

/** What Jest and Vitest give to a matcher, as far as it is used here. */
interface MatcherContext {
  readonly equals: (a: unknown, b: unknown) => boolean;
}

interface Verdict {
  readonly pass: boolean;
  readonly message: () => string;
}

/** The matchers, for the declarations of the test framework (docs/testing.md). */
export interface LoopstackMatchers<R = unknown> {
  /** A run of the workflow was started, with a payload that has at least these fields: `expect(runService).toHaveStarted(ProcessOrder, { orderId })`. */
  toHaveStarted(workflow: string | WorkflowClass, payload?: unknown): R;
  /** The run has become a dead letter, of that code: `expect(run).toBeDeadLettered('HANDLER_FAILED')`. */
  toBeDeadLettered(code?: ErrorCode): R;
}

const SHOWN = 5;

/** `expect.extend(loopstackMatchers)`, with the `expect` of Jest or Vitest. */
export const loopstackMatchers = {
  toHaveStarted(this: MatcherContext, received: unknown, workflow: string | WorkflowClass, payload?: unknown): Verdict {
    const name = workflowName(workflow);
    const runs = theirs(received, 'toHaveStarted', 'RunService or LoopstackHarness').state.all();
    const started = runs.filter((run) => run.workflow === name);
    const pass = started.some((run) => payload === undefined || isPart(payload, run.payload, (a, b) => this.equals(a, b)));
    const wanted = payload === undefined ? `a run of ${name}` : `a run of ${name} with ${text(payload)}`;
    const shown = started.slice(0, SHOWN).map((run) => `\n  ${text(run.payload)} (${run.status}, on behalf of ${run.userId})`);
    const more = started.length > SHOWN ? `\n  and ${started.length - SHOWN} more` : '';
    const others = [...new Set(runs.filter((run) => run.workflow !== name).map((run) => run.workflow))];
    const found = started.length > 0 ? `runs of ${name} with:${shown.join('')}${more}` : 'no run of it';
    const beside = others.length > 0 ? `\nother workflows that were started: ${others.join(', ')}` : '';
    return {
      pass,
      message: () => `expected ${pass ? 'not to find' : 'to find'} ${wanted}; there ${started.length > 0 ? 'are' : 'is'} ${found}${beside}`,
    };
  },

  toBeDeadLettered(this: MatcherContext, received: unknown, code?: ErrorCode): Verdict {
    const runtime = theirs(received, 'toBeDeadLettered', 'the handle of a run');
    const run = received as RunReference;
    const { workspace, workflow, id: runId } = run;
    const letters = runtime.deadLetters.matching({ workspace, workflow, runId });
    const pass = letters.some((letter) => code === undefined || letter.code === code);
    const named = `run ${runId} of ${workflow}`;
    const found = letters.map((letter) => `${letter.code}: ${letter.message}`).join('; ');
    const { status } = runtime.state.get(run);
    const isOpen = status === 'queued' || status === 'running' || status === 'retrying';
    const hint = isOpen ? '; wait for it first: await loopstack.settled(), or loopstack.advance(…) to its next attempt' : '';
    const state = letters.length > 0 ? `it is one with ${found}` : `it is ${status}${hint}`;
    const wanted = code === undefined ? 'a dead letter' : `a dead letter with ${code}`;
    return { pass, message: () => `expected ${named} ${pass ? 'not to be' : 'to be'} ${wanted}; ${state}` };
  },
};

function theirs(received: unknown, matcher: string, expected: string): MemoryRuntime {
  const runtime = runtimeOf(received);
  if (runtime) return runtime;
  throw new TypeError(`expect(…).${matcher}() takes ${expected} of an application with LoopstackTestingModule`);
}

/** Whether all that is expected is there; objects may have more. */
function isPart(expected: unknown, actual: unknown, equals: MatcherContext['equals']): boolean {
  if (!isPlain(expected) || !isPlain(actual)) return equals(actual, expected);
  return Object.entries(expected).every(([key, value]) => Object.hasOwn(actual, key) && isPart(value, actual[key], equals));
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && [Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null);
}

function text(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 300) ?? 'undefined';
}

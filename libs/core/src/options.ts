import { assertName, printable, resolveTrust, type ResolvedTrust, type Trust, integerBetween } from '@loopstack/shared';
import { resolveRedaction, type RedactOptions, type Redactor } from './declare/redact.js';
import type { WorkflowDefaults } from './declare/workflow.js';

/** Options of `LoopstackModule.forRoot`. All optional. */
export interface LoopstackOptions {
  /** For all workflows of this application; a workflow's own options win. */
  readonly defaults?: WorkflowDefaults;
  /**
   * What `RunService` does with a workspace that is not registered in this process: `refuse` it, `publish` without asking,
   * or ask the `catalogue` that workers publish (names and payloads are checked; without a catalogue nothing is refused).
   * Default: `refuse` where at least one workspace is registered, `catalogue` in a producer that has none.
   */
  readonly unknownWorkspaces?: 'refuse' | 'publish' | 'catalogue';
  /** Applies the application's global guards, pipes, interceptors and filters to workflows, too. Default false: most of them expect an HTTP request. */
  readonly globalEnhancers?: boolean;
  /** Answers HTTP requests whose handler throws a LoopstackError with its status and code. False: the application's own filters do. Default true. */
  readonly httpErrors?: boolean;
  /**
   * Workspaces whose commands must be signed, and by whom; `'*'` stands for all others. Anything else there is dead-lettered
   * as `untrusted`. Without this a `userId` is what the producer claims.
   */
  readonly trust?: Readonly<Record<string, Trust>>;
  /** What is kept out of logs, events and dead letters, for all workflows and handlers of this application. A workflow may add to it. */
  readonly redact?: RedactOptions;
  /** Levels that the JSON of a command may nest. Default 64. */
  readonly maxDepth?: number;
  /**
   * Name of the release that this process runs, such as its version or commit. Needed where two releases that run side by side
   * differ in rules that a JSON Schema cannot say (custom validators), so that each leaves to the other what it refuses itself.
   */
  readonly release?: string;
  /** Name of the service that this process is a replica of: its replicas share the durables of `@OnRun` and `@EventPattern`. Needed for those alone. */
  readonly service?: string;
  /** Runs that may have started one another in a chain. A run beyond it is a dead letter (CAUSE_TOO_DEEP). Default 32. */
  readonly maxCauseDepth?: number;
}

export interface ResolvedLoopstackOptions {
  readonly defaults: WorkflowDefaults;
  readonly unknownWorkspaces: 'refuse' | 'publish' | 'catalogue' | undefined;
  readonly globalEnhancers: boolean;
  readonly httpErrors: boolean;
  readonly trust: ReadonlyMap<string, ResolvedTrust>;
  readonly redact: RedactOptions | undefined;
  /** Of `redact`; for what is of no workflow. */
  readonly redactor: Redactor | undefined;
  readonly maxDepth: number;
  readonly release: string | undefined;
  readonly service: string | undefined;
  readonly maxCauseDepth: number;
}

export const LoopstackOptionsToken = Symbol.for('loopstack:options');

/** @throws LoopstackError OPTION_INVALID, NAME_INVALID */
export function resolveLoopstackOptions(given: LoopstackOptions = {}): ResolvedLoopstackOptions {
  if (given.service !== undefined) assertName('service', given.service);
  return Object.freeze({
    defaults: given.defaults ?? {},
    unknownWorkspaces: given.unknownWorkspaces,
    globalEnhancers: given.globalEnhancers ?? false,
    httpErrors: given.httpErrors ?? true,
    trust: new Map(Object.entries(given.trust ?? {}).map(([workspace, trust]) => [workspace, resolveTrust(`trust.${workspace}`, trust)])),
    redact: given.redact,
    redactor: resolveRedaction('redact', given.redact),
    maxDepth: integerBetween('maxDepth', 2, 1000, given.maxDepth ?? 64),
    release: given.release === undefined ? undefined : printable(given.release, 100),
    service: given.service,
    maxCauseDepth: integerBetween('maxCauseDepth', 0, 1000, given.maxCauseDepth ?? 32),
  });
}

import { Injectable, type OnModuleInit, type Type } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { LoopstackError, assertOneCopy, type RunAddress } from '@loopstack/shared';
import { LoopstackOptionsToken, type LoopstackOptions, type ResolvedLoopstackOptions } from '../options.js';
import {
  resolveWorkflowOptions,
  workflowName,
  workflowOptions,
  workspaceName,
  workspaceOptions,
  type ResolvedWorkflowOptions,
  type WorkflowInstance,
} from './workflow.js';
import { mangledName } from './class-name.js';
import { provided, type Provided } from './provided.js';
import { foreignDecorators } from '../validation/copies.js';
import { payloadValidator, type PayloadValidator } from '../validation/payload-validator.js';
import { Inject } from '@nestjs/common';

/** A workflow in a workspace: what one address stands for. */
export interface RegisteredWorkflow extends RunAddress {
  readonly type: Type<WorkflowInstance>;
  readonly instance: WorkflowInstance;
  /** Key of its module in Nest's container. */
  readonly moduleKey: string | undefined;
  readonly options: ResolvedWorkflowOptions;
  /** Absent for a workflow without a payload class. */
  readonly validator: PayloadValidator | undefined;
}

/** A class as discovery sees it. */
export type Candidate = Provided;

export interface Catalogue {
  readonly workflows: readonly RegisteredWorkflow[];
  readonly workspaces: ReadonlySet<string>;
}

/** What an application says of all its workflows. */
type ForAllWorkflows = Pick<LoopstackOptions, 'defaults' | 'redact'>;

/**
 * Makes the catalogue of the decorated classes among `candidates`, or throws with every problem named. Pure.
 * @throws LoopstackError BOOT_FAILED
 */
export function buildCatalogue(candidates: readonly Candidate[], application: ForAllWorkflows = {}): Catalogue {
  const problems: string[] = [];
  const unique = [...new Map(candidates.map((c) => [c.type, c])).values()];
  const named = (c: Candidate): string => `${c.type.name} (${c.module})`;
  const workflows = new Map(unique.filter((c) => workflowOptions(c.type)).map((c) => [c.type, c]));
  const placed = new Set<Type<object>>();
  const workspaces = new Map<string, Candidate>();
  const registered: RegisteredWorkflow[] = [];

  for (const space of unique) {
    const options = workspaceOptions(space.type);
    if (!options) continue;
    const workspace = workspaceName(space.type);
    const rival = workspaces.get(workspace);
    if (rival) {
      problems.push(`two workspaces claim the name ${workspace}: ${named(rival)} and ${named(space)}; give one of them another name`);
      continue;
    }
    workspaces.set(workspace, space);
    const mangled = options.name === undefined ? mangledName(space.type.name) : undefined;
    if (mangled !== undefined) problems.push(`workspace ${named(space)}: ${mangled}`);
    const names = new Map<string, Candidate>();
    for (const type of options.workflows) {
      const found = workflows.get(type);
      if (!found) {
        problems.push(`workspace ${named(space)} lists ${describe(type)}, which is ${absence(type)}`);
        continue;
      }
      placed.add(type);
      const workflow = workflowName(type);
      const other = names.get(workflow);
      if (other) {
        problems.push(
          `two workflows claim the name ${workflow} in workspace ${workspace}: ${named(other)} and ${named(found)}; give one of them another name`,
        );
        continue;
      }
      names.set(workflow, found);
      const entry = register(workspace, found, application, problems);
      if (entry) registered.push(entry);
    }
  }
  // A provider may stand for several classes, of which a workspace lists one.
  const instances = new Set(registered.map(({ instance }) => instance));
  for (const [type, found] of workflows) {
    if (!placed.has(type) && !instances.has(found.instance as WorkflowInstance))
      problems.push(`workflow ${named(found)} is in no workspace; list it in the workflows of a @Workspace`);
  }
  if (problems.length > 0) throw new LoopstackError('BOOT_FAILED', { problems: problems.join('; ') });
  return { workflows: registered, workspaces: new Set(workspaces.keys()) };
}

function describe(type: unknown): string {
  return typeof type === 'function' ? type.name : `something that is no class (${typeof type}; a circular import?)`;
}

function absence(type: unknown): string {
  return workflowOptions(type) ? 'a provider of no module that this application imports' : 'not decorated with @Workflow';
}

function register(
  workspace: string,
  found: Candidate,
  { defaults, redact }: ForAllWorkflows,
  problems: string[],
): RegisteredWorkflow | undefined {
  const { type, instance } = found;
  if (!instance) {
    problems.push(
      `workflow ${type.name} (${found.module}) is request-scoped or transient; a workflow is a singleton, what belongs to a run is in its context`,
    );
    return undefined;
  }
  if (typeof (instance as Partial<WorkflowInstance>).run !== 'function') {
    problems.push(`workflow ${type.name} (${found.module}) has no method run(payload, context)`);
    return undefined;
  }
  try {
    const own = workflowOptions(type) ?? {};
    const mangled = own.name === undefined ? mangledName(type.name) : undefined;
    if (mangled !== undefined) problems.push(`workflow ${type.name} (${found.module}): ${mangled}`);
    const options = resolveWorkflowOptions(type.name, own, defaults, redact);
    const foreign = options.payload && foreignDecorators(options.payload);
    if (foreign !== undefined) problems.push(`payload ${options.payload?.name} of workflow ${type.name} (${found.module}): ${foreign}`);
    return {
      workspace,
      workflow: options.name,
      type: type as Type<WorkflowInstance>,
      instance: instance as WorkflowInstance,
      moduleKey: found.moduleKey,
      options,
      validator: options.payload && payloadValidator(options.payload, options.unknownFields),
    };
  } catch (error) {
    problems.push((error as Error).message);
    return undefined;
  }
}

/** The workflows of this process, found among its providers when its modules start. */
@Injectable()
export class WorkflowRegistry implements OnModuleInit {
  #built: Catalogue | undefined;
  readonly #byAddress = new Map<string, RegisteredWorkflow>();

  constructor(
    private readonly discovery: DiscoveryService,
    @Inject(LoopstackOptionsToken) private readonly options: ResolvedLoopstackOptions,
  ) {}

  /** @throws LoopstackError BOOT_FAILED, PACKAGE_DUPLICATED: a copy may be loaded after `LoopstackModule.forRoot()` */
  onModuleInit(): void {
    assertOneCopy();
    void this.#catalogue;
  }

  get workflows(): readonly RegisteredWorkflow[] {
    return this.#catalogue.workflows;
  }

  get workspaces(): ReadonlySet<string> {
    return this.#catalogue.workspaces;
  }

  find(workspace: string, workflow: string): RegisteredWorkflow | undefined {
    void this.#catalogue;
    return this.#byAddress.get(`${workspace}.${workflow}`);
  }

  get #catalogue(): Catalogue {
    if (!this.#built) {
      const { defaults, redact } = this.options;
      const decorated = (type: unknown): boolean => workflowOptions(type) !== undefined || workspaceOptions(type) !== undefined;
      const candidates = provided(this.discovery.getProviders(), decorated);
      this.#built = buildCatalogue(candidates, { defaults, ...(redact ? { redact } : {}) });
      for (const entry of this.#built.workflows) this.#byAddress.set(`${entry.workspace}.${entry.workflow}`, entry);
    }
    return this.#built;
  }
}

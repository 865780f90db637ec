import { Inject, Injectable, Optional } from '@nestjs/common';
import {
  LoopstackError,
  assertAddress,
  assertName,
  assertUserId,
  fanOutItems,
  type Recurrence,
  type RunAddress,
  type RunFilter,
  type RunHandle,
  type RunInfo,
  type RunItem,
  type RunManyOptions,
  type RunManyReport,
  type RunAndWaitOptions,
  type RunOptions,
  type RunReference,
  type Schedule,
  type ScheduleOptions,
} from '@loopstack/shared';
import { assertCauseNotTooDeep } from './events/cause.js';
import { LoopstackOptionsToken, type ResolvedLoopstackOptions } from './options.js';
import { WorkflowRegistry } from './declare/registry.js';
import { RunGateway, type ScheduleStore } from './run-gateway.js';
import { namedEach, namedLater, type AnyItem, type HandlesOf, type ItemsOf, type NamedItem, type WorkflowItem } from './run-items.js';
import { checkPayload } from './validation/check-payload.js';
import type { PayloadValidator } from './validation/payload-validator.js';
import {
  validatorOf,
  workflowName,
  workspaceName,
  type PayloadOf,
  type ResultOf,
  type WorkflowClass,
  type WorkspaceClass,
} from './declare/workflow.js';

/** A run by its address, as classes or names, and its id. */
export interface RunOf {
  readonly workspace: string | WorkspaceClass;
  readonly workflow: string | WorkflowClass;
  readonly id: string;
}

/** Starts workflows, from anywhere in a Nest application. */
@Injectable()
export class RunService {
  constructor(
    private readonly registry: WorkflowRegistry,
    @Inject(LoopstackOptionsToken) private readonly options: ResolvedLoopstackOptions,
    @Optional() private readonly gateway?: RunGateway,
  ) {}

  /** The same service over another broker, or another connection to one: for the module of a broker. */
  over(gateway: RunGateway | undefined): RunService {
    return new RunService(this.registry, this.options, gateway);
  }

  /**
   * Starts a run. Resolves when the server has stored the command; the run itself goes on in a worker.
   *
   * @param workflow class, or class name, of the workflow; with the class, payload and result are typed
   * @param workspace class, or class name, of the workspace
   * @param payload plain data that the workflow's payload class accepts; `{}` if undefined
   * @param userId on whose behalf, 1 to 256 characters
   * @throws LoopstackError before anything is published: WORKSPACE_UNKNOWN, WORKFLOW_UNKNOWN (404), PAYLOAD_INVALID with
   *   field errors, CAUSE_TOO_DEEP (508) in what reacts to a run that was too deep itself, USER_MISSING, NAME_INVALID, OPTION_INVALID, PAYLOAD_UNSERIALIZABLE (400), PAYLOAD_TOO_LARGE (413);
   *   KEY_CONFLICT (409) for an idempotency key of another payload or user; afterwards: PUBLISH_TIMEOUT, PUBLISH_UNAVAILABLE (503), STREAM_FULL (507)
   */
  run<W extends WorkflowClass>(
    workflow: W,
    workspace: string | WorkspaceClass,
    payload: PayloadOf<W>,
    userId: string,
    options?: RunOptions,
  ): Promise<RunHandle<ResultOf<W>>>;
  run<Result = unknown>(
    workflow: string,
    workspace: string | WorkspaceClass,
    payload: unknown,
    userId: string,
    options?: RunOptions,
  ): Promise<RunHandle<Result>>;
  async run(
    workflow: string | WorkflowClass,
    workspace: string | WorkspaceClass,
    payload: unknown,
    userId: string,
    options?: RunOptions,
  ): Promise<RunHandle> {
    const gateway = this.#connected();
    const address = await this.#accept(workflow, workspace, payload, userId);
    return gateway.run(address.workflow, address.workspace, payload, userId, options);
  }

  /**
   * `run` and `handle.result()` in one call.
   * @throws LoopstackError as `run`, and RUN_FAILED, RUN_CANCELED, RUN_EXPIRED, RESULT_TIMEOUT (default 30 s)
   */
  runAndWait<W extends WorkflowClass>(
    workflow: W,
    workspace: string | WorkspaceClass,
    payload: PayloadOf<W>,
    userId: string,
    options?: RunAndWaitOptions,
  ): Promise<ResultOf<W>>;
  runAndWait<Result = unknown>(
    workflow: string,
    workspace: string | WorkspaceClass,
    payload: unknown,
    userId: string,
    options?: RunAndWaitOptions,
  ): Promise<Result>;
  async runAndWait(
    workflow: string | WorkflowClass,
    workspace: string | WorkspaceClass,
    payload: unknown,
    userId: string,
    options?: RunAndWaitOptions,
  ): Promise<unknown> {
    const run = await this.run(workflow as string, workspace, payload, userId, options);
    return run.result(options);
  }

  /**
   * Starts a run for each item of a list or stream, with a bounded number in flight. An item that fails, its payload
   * included, stops no other one: the report names it.
   */
  runMany<W extends WorkflowClass>(
    items: Iterable<WorkflowItem<W>> | AsyncIterable<WorkflowItem<W>>,
    options?: RunManyOptions,
  ): Promise<RunManyReport>;
  runMany(items: Iterable<RunItem> | AsyncIterable<RunItem>, options?: RunManyOptions): Promise<RunManyReport>;
  async runMany(items: Iterable<AnyItem> | AsyncIterable<AnyItem>, options: RunManyOptions = {}): Promise<RunManyReport> {
    const check = async (item: NamedItem): Promise<void> => {
      await options.check?.(item);
      await this.#acceptItem(item);
    };
    return this.#connected().runMany(Symbol.asyncIterator in items ? namedLater(items) : namedEach(items), { ...options, check });
  }

  /**
   * Starts 1 to 1,000 runs, all or none: one thing that starts several workflows.
   * @throws LoopstackError as `run` for the first item that is refused, BATCH_TOO_LARGE, BATCH_REJECTED, SERVER_TOO_OLD (2.12)
   */
  fanOut<const Ws extends readonly WorkflowClass[]>(items: ItemsOf<Ws>): Promise<HandlesOf<Ws>>;
  fanOut<W extends WorkflowClass>(items: Iterable<WorkflowItem<W>>): Promise<readonly RunHandle<ResultOf<W>>[]>;
  fanOut(items: Iterable<RunItem>): Promise<readonly RunHandle[]>;
  async fanOut(items: Iterable<AnyItem>): Promise<readonly RunHandle[]> {
    const all = fanOutItems(namedEach(items));
    for (const item of all) await this.#acceptItem(item);
    return this.#connected().fanOut(all);
  }

  /**
   * Starts a run at each time of a recurrence, kept by the server: `schedule('daily', '0 0 9 * * *', …, { timeZone: 'Europe/Berlin' })`
   * or `schedule('often', { every: '10m' }, …)`. The same id again replaces it.
   * @throws LoopstackError as `run`, SCHEDULE_INVALID, SERVER_TOO_OLD (2.14)
   */
  // oxlint-disable-next-line max-params -- as `run`, after what is scheduled and when
  schedule<W extends WorkflowClass>(
    id: string,
    recurrence: Recurrence,
    workflow: W,
    workspace: string | WorkspaceClass,
    payload: PayloadOf<W>,
    userId: string,
    options?: ScheduleOptions,
  ): Promise<Schedule>;
  // oxlint-disable-next-line max-params -- as `run`, after what is scheduled and when
  schedule(
    id: string,
    recurrence: Recurrence,
    workflow: string,
    workspace: string | WorkspaceClass,
    payload: unknown,
    userId: string,
    options?: ScheduleOptions,
  ): Promise<Schedule>;
  // oxlint-disable-next-line max-params -- as `run`, after what is scheduled and when
  async schedule(
    id: string,
    recurrence: Recurrence,
    workflow: string | WorkflowClass,
    workspace: string | WorkspaceClass,
    payload: unknown,
    userId: string,
    options?: ScheduleOptions,
  ): Promise<Schedule> {
    const address = await this.#accept(workflow, workspace, payload, userId);
    return this.#connected().schedules.put(id, recurrence, address.workflow, address.workspace, payload, userId, options);
  }

  /** Recurring runs: `list`, `get`, `cancel`. */
  get schedules(): Omit<ScheduleStore, 'put'> {
    return this.#connected().schedules;
  }

  /**
   * The state of a run: `get({ workspace, workflow, id })`, or with a handle. An id alone is looked up, which costs a scan.
   * @throws LoopstackError RUN_UNKNOWN, RUN_AMBIGUOUS (an id alone, and several runs have it), NAME_INVALID
   */
  async get(run: string | RunOf): Promise<RunInfo> {
    return this.#connected().get(referenceOf(run));
  }

  async list(filter?: RunFilter): Promise<readonly RunInfo[]> {
    return this.#connected().list(filter);
  }

  /**
   * Cancels a run before its start, during it (`ctx.signal`), or between its attempts: `cancel({ workspace, workflow, id })`, or with a handle.
   * @throws LoopstackError RUN_UNKNOWN, RUN_AMBIGUOUS (an id alone, and several runs have it), RUN_FINISHED, NAME_INVALID
   */
  async cancel(run: string | RunOf): Promise<RunInfo> {
    return this.#connected().cancel(referenceOf(run));
  }

  #connected(): RunGateway {
    if (!this.gateway) throw new LoopstackError('BROKER_MISSING');
    return this.gateway;
  }

  /** Refuses what would not run, before anything is published. */
  async #accept(
    workflow: string | WorkflowClass,
    workspace: string | WorkspaceClass,
    payload: unknown,
    userId: string,
  ): Promise<RunAddress> {
    assertCauseNotTooDeep(this.options.maxCauseDepth);
    const address = { workspace: workspaceName(workspace), workflow: workflowName(workflow) };
    const { validator, elsewhere } = this.#resolve(address, workflow);
    assertUserId(userId);
    if (validator) await checkPayload(validator, address.workflow, payload, this.options.maxDepth);
    if (elsewhere) await this.#connected().check(address, payload);
    return address;
  }

  async #acceptItem({ declared, workflow, workspace, payload, userId }: NamedItem): Promise<void> {
    await this.#accept(declared ?? workflow, workspace, payload, userId);
  }

  /** Checks the address; tells what validates its payload here, and whether only the catalogue can say more. */
  #resolve(address: RunAddress, workflow: string | WorkflowClass): { validator: PayloadValidator | undefined; elsewhere: boolean } {
    assertAddress(address);
    const entry = this.registry.find(address.workspace, address.workflow);
    if (entry) return { validator: entry.validator, elsewhere: false };
    if (this.registry.workspaces.has(address.workspace)) throw new LoopstackError('WORKFLOW_UNKNOWN', { ...address });
    const policy = this.options.unknownWorkspaces ?? (this.registry.workspaces.size > 0 ? 'refuse' : 'catalogue');
    if (policy === 'refuse') throw new LoopstackError('WORKSPACE_UNKNOWN', { ...address });
    return { validator: validatorOf(workflow, this.options.defaults), elsewhere: policy === 'catalogue' };
  }
}

/** @throws LoopstackError NAME_INVALID */
function referenceOf(run: string | RunOf): string | RunReference {
  if (typeof run !== 'object' || run === null) {
    assertName('run id', run);
    return run;
  }
  const reference = { workspace: workspaceName(run.workspace), workflow: workflowName(run.workflow), id: run.id };
  assertAddress(reference);
  assertName('run id', reference.id);
  return reference;
}

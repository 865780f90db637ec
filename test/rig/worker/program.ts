// A worker process of the rig. Its one argument is the plan as JSON; it talks to the test over the IPC channel.

import 'reflect-metadata';
import { LoopstackModule, Workflow, Workspace, type LoopstackOptions, type RunContext, type WorkflowOptions } from '@loopstack/core';
import { JetStreamServer, LoopstackHealth, NatsModule, type NatsOptions } from '@loopstack/nats';
import { NestFactory } from '@nestjs/core';
import type { Type } from '@nestjs/common';
import { Transform, Type as TypeOf } from 'class-transformer';
import { ArrayMaxSize, IsArray, IsInt, IsOptional, IsString, Matches, MaxLength, ValidateBy, ValidateNested } from 'class-validator';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { behave, JournalWriter } from './behaviour.js';

/** Fields of a payload class, by name. A question mark: optional. An object: a nested class. `even` and `odd`: rules that no schema can say. */
export interface PlannedFields {
  readonly [name: string]: 'int' | 'int?' | 'string' | 'string?' | 'even' | 'odd' | PlannedFields;
}

export interface PlannedWorkflow {
  readonly workspace: string;
  readonly name: string;
  /** `strict`: the payload has a class with rules; `heavy`: with rules that some payload makes run for ever. Else the fields of its class. */
  readonly payload?: 'strict' | 'heavy' | PlannedFields;
  readonly options?: Omit<WorkflowOptions, 'name' | 'payload'>;
}

export interface WorkerPlan {
  readonly journal: string;
  readonly nats: NatsOptions;
  readonly loopstack?: LoopstackOptions;
  readonly workflows: readonly PlannedWorkflow[];
}

export type Question = 'ready' | 'live' | 'lag' | 'prototype' | 'usage';
export type Message = { readonly ready: true } | { readonly answer: unknown; readonly id: number } | { readonly failed: string };

/** A payload with rules, as an application would have. */
class StrictPayload {
  @IsInt() amount!: number;
  @IsOptional() @IsString() @MaxLength(100) note?: string;
  @IsOptional() @IsArray() @ArrayMaxSize(100) @IsInt({ each: true }) items?: number[];
}

/** Rules that cost time without an end for the wrong text. */
class HeavyPayload {
  @IsOptional() @Matches(/^(a+)+$/) matched?: string;
  @IsOptional()
  @Transform(({ value }: { value: unknown }) => {
    while (value === 'spin');
    return value;
  })
  @IsString()
  transformed?: string;
}

const plan = JSON.parse(process.argv[2] as string) as WorkerPlan;
const journal = new JournalWriter(plan.journal);

function parity(kind: string): PropertyDecorator | undefined {
  if (kind !== 'even' && kind !== 'odd') return undefined;
  const validate = (value: unknown): boolean => typeof value === 'number' && Math.abs(value % 2) === (kind === 'odd' ? 1 : 0);
  return ValidateBy({ name: 'parity', validator: { validate, defaultMessage: () => `$property must be ${kind}` } });
}

let planned = 0;

function payloadClass(fields: PlannedFields): Type<object> {
  class PlannedPayload {}
  Object.defineProperty(PlannedPayload, 'name', { value: `PlannedPayload${++planned}` });
  for (const [name, kind] of Object.entries(fields)) {
    const decorate = (...decorators: PropertyDecorator[]): void => decorators.forEach((one) => one(PlannedPayload.prototype, name));
    if (typeof kind === 'object') {
      const nested = payloadClass(kind);
      decorate(
        ValidateNested(),
        TypeOf(() => nested),
      );
      continue;
    }
    decorate(parity(kind) ?? (kind.startsWith('int') ? IsInt() : IsString()));
    if (kind.endsWith('?')) decorate(IsOptional());
  }
  return PlannedPayload;
}

function workflowClass({ name, payload, options }: PlannedWorkflow): Type<{ run(job: never, ctx: RunContext): Promise<unknown> }> {
  const known: Readonly<Record<string, Type<object>>> = { strict: StrictPayload, heavy: HeavyPayload };
  const Payload = typeof payload === 'string' ? known[payload] : payload && payloadClass(payload);
  class RigWorkflow {
    run(job: object, ctx: RunContext): Promise<unknown> {
      return behave(journal, Payload && job instanceof Payload ? {} : job, ctx);
    }
  }
  Workflow({ ...options, name, ...(Payload ? { payload: Payload } : {}) })(RigWorkflow as never);
  return RigWorkflow;
}

function providers(): Type[] {
  const classes: Type[] = [];
  for (const workspace of new Set(plan.workflows.map((flow) => flow.workspace))) {
    const workflows = plan.workflows.filter((flow) => flow.workspace === workspace).map(workflowClass);
    class RigWorkspace {}
    Workspace({ name: workspace, workflows: workflows })(RigWorkspace);
    classes.push(RigWorkspace, ...workflows);
  }
  return classes;
}

class RigModule {}

const lag = monitorEventLoopDelay({ resolution: 5 });
const tell = (message: Message): void => void process.send?.(message);

try {
  const module = {
    module: RigModule,
    imports: [LoopstackModule.forRoot(plan.loopstack), NatsModule.forRoot(plan.nats)],
    providers: providers(),
  };
  const app = await NestFactory.createMicroservice(module, {
    inject: [JetStreamServer],
    useFactory: (strategy: JetStreamServer) => ({ strategy }),
    abortOnError: false,
  });
  app.enableShutdownHooks(['SIGTERM'], { useProcessExit: true });
  const health = app.get(LoopstackHealth);
  const answers: Record<Question, () => unknown> = {
    ready: () => health.ready(),
    live: () => health.live(),
    /** Longest time in milliseconds for which the event loop was late since the last question. */
    lag: () => {
      const ms = lag.max / 1e6;
      lag.reset();
      return ms;
    },
    prototype: () => Object.keys(Object.prototype),
    /** What is alive after a full collection. */
    usage: () => {
      setFlagsFromString('--expose_gc');
      (runInNewContext('gc') as () => void)();
      const { heapUsed, rss } = process.memoryUsage();
      return { heap: heapUsed, rss, handles: process.getActiveResourcesInfo().length };
    },
  };
  process.on('message', ({ ask, id }: { ask: Question; id: number }) => {
    void Promise.resolve(answers[ask]()).then((answer) => tell({ answer, id }));
  });
  await app.listen();
  lag.enable();
  tell({ ready: true });
} catch (error) {
  const { message, fix = '' } = error as Error & { fix?: string };
  tell({ failed: `${message}. ${fix}` });
  process.exitCode = 1;
  process.disconnect();
}

// A worker process of the rig. Its one argument is the plan as JSON; it talks to the test over the IPC channel.

import 'reflect-metadata';
import { LoopstackModule, Workflow, Workspace, type RunContext, type WorkflowOptions } from '@loopstack/core';
import { JetStreamServer, LoopstackHealth, NatsModule, type NatsOptions } from '@loopstack/nats';
import { NestFactory } from '@nestjs/core';
import type { Type } from '@nestjs/common';
import { Transform } from 'class-transformer';
import { ArrayMaxSize, IsArray, IsInt, IsOptional, IsString, Matches, MaxLength } from 'class-validator';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { behave, JournalWriter, type Job } from './behaviour.js';

export interface PlannedWorkflow {
  readonly workspace: string;
  readonly name: string;
  /** `strict`: the payload has a class with rules; `heavy`: with rules that some payload makes run for ever. */
  readonly payload?: 'strict' | 'heavy';
  readonly options?: Omit<WorkflowOptions, 'name' | 'payload'>;
}

export interface WorkerPlan {
  readonly journal: string;
  readonly nats: NatsOptions;
  readonly workflows: readonly PlannedWorkflow[];
}

export type Question = 'ready' | 'live' | 'lag' | 'prototype';
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

function workflowClass({ name, payload, options }: PlannedWorkflow): Type<{ run(job: never, ctx: RunContext): Promise<unknown> }> {
  class RigWorkflow {
    run(job: Job | StrictPayload | HeavyPayload, ctx: RunContext): Promise<unknown> {
      return behave(journal, job instanceof StrictPayload || job instanceof HeavyPayload ? {} : job, ctx);
    }
  }
  const payloads: Record<'strict' | 'heavy', Type<object>> = { strict: StrictPayload, heavy: HeavyPayload };
  Workflow({ ...options, name, ...(payload ? { payload: payloads[payload] } : {}) })(RigWorkflow as never);
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
  const module = { module: RigModule, imports: [LoopstackModule.forRoot(), NatsModule.forRoot(plan.nats)], providers: providers() };
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

import { LoopstackError } from '@loopstack/shared';
import { Inject, Injectable, type Type } from '@nestjs/common';
import { ApplicationConfig, ExternalContextCreator, ModulesContainer, type NestContainer } from '@nestjs/core';
import { ExternalExceptionFilterContext } from '@nestjs/core/exceptions/external-exception-filter-context.js';
import { GuardsConsumer, GuardsContextCreator } from '@nestjs/core/guards/index.js';
import { InterceptorsConsumer, InterceptorsContextCreator } from '@nestjs/core/interceptors/index.js';
import { PipesConsumer, PipesContextCreator } from '@nestjs/core/pipes/index.js';
import { LoopstackOptionsToken, type ResolvedLoopstackOptions } from '../options.js';
import type { RegisteredWorkflow } from './registry.js';
import type { RunContext } from '../run/run-context.js';

/** What `ExecutionContext.getType()` says inside a run. */
export const CONTEXT_TYPE = 'loopstack';

export type Invoke = (payload: unknown, context: RunContext) => unknown;

/** Metadata keys of Nest's enhancers; public through `@UseGuards` and its kin, the strings since Nest 4. */
const ENHANCERS = ['__guards__', '__interceptors__', '__pipes__', '__exceptionFilters__'] as const;

/** What a decorator such as `@UseGuards` was given for a class or method. */
function declaredEnhancers(key: (typeof ENHANCERS)[number], target: object): readonly unknown[] {
  return (Reflect.getMetadata(key, target) as readonly unknown[] | undefined) ?? [];
}

type Method = (...args: unknown[]) => unknown;

/**
 * Makes Nest's guards, interceptors, pipes and filters work on a workflow as on a controller. A workflow without any is
 * called directly: the machinery costs nothing where it is not used.
 */
@Injectable()
export class Enhancers {
  readonly #creator: ExternalContextCreator;
  readonly #pipes: PipesContextCreator;
  readonly #pipesConsumer = new PipesConsumer();

  constructor(
    private readonly modules: ModulesContainer,
    private readonly config: ApplicationConfig,
    @Inject(LoopstackOptionsToken) private readonly options: ResolvedLoopstackOptions,
  ) {
    // All that these creators ask of the container is its modules.
    const container = { getModules: () => modules } as unknown as NestContainer;
    const globals = this.options.globalEnhancers ? this.config : undefined;
    this.#pipes = new PipesContextCreator(container, globals);
    this.#creator = new ExternalContextCreator(
      new GuardsContextCreator(container, globals),
      new GuardsConsumer(),
      new InterceptorsContextCreator(container, globals),
      new InterceptorsConsumer(),
      modules,
      this.#pipes,
      this.#pipesConsumer,
      new ExternalExceptionFilterContext(container, globals),
    );
  }

  invoker(entry: RegisteredWorkflow): Invoke {
    const { instance, type } = entry;
    const method = (instance as unknown as Record<string, Method>)['run'] as Method;
    if (!this.#applies(type, method)) return method.bind(instance) as Invoke;

    const moduleKey = entry.moduleKey ?? this.#creator.getContextModuleKey(type);
    this.#assertMade(entry, method, moduleKey);
    const pipes = this.#pipes.create(instance, method, moduleKey);
    const metatype = entry.options.payload;
    const piped: Method =
      pipes.length === 0
        ? async (...args) => method.apply(instance, args)
        : async (payload, context) =>
            method.call(instance, await this.#pipesConsumer.apply(payload, { type: 'body', metatype: metatype as never }, pipes), context);
    // Guards and interceptors read the method's metadata through the Reflector.
    for (const key of Reflect.getMetadataKeys(method) as unknown[]) Reflect.defineMetadata(key, Reflect.getMetadata(key, method), piped);
    const filters = this.#has('__exceptionFilters__', type, method);
    return this.#creator.create(
      instance,
      piped,
      'run',
      undefined,
      undefined,
      undefined,
      undefined,
      { guards: true, interceptors: true, filters },
      CONTEXT_TYPE,
    ) as Invoke;
  }

  /**
   * Nest makes the guards and the like of a class only where that class, or one of `useClass`, is the provider. It would skip those
   * of any other, silently.
   * @throws LoopstackError BOOT_FAILED
   */
  #assertMade({ type, workflow }: RegisteredWorkflow, method: object, moduleKey: string): void {
    const module = this.modules.get(moduleKey);
    const missing = ENHANCERS.flatMap((key) => [type, method].flatMap((target) => declaredEnhancers(key, target))).filter(
      (enhancer) => typeof enhancer === 'function' && enhancer.prototype !== undefined && !module?.injectables.has(enhancer as Type),
    ) as Type[];
    if (missing.length === 0) return;
    const names = [...new Set(missing.map(({ name }) => name))].join(', ');
    const problems = `workflow ${workflow} (${type.name}) is not provided as a class, so Nest does not make its ${names}; provide it by useClass, or pass an instance to the decorator: @UseGuards(new …)`;
    throw new LoopstackError('BOOT_FAILED', { problems });
  }

  #has(key: (typeof ENHANCERS)[number], type: object, method: object): boolean {
    return (
      Reflect.hasMetadata(key, type) ||
      Reflect.hasMetadata(key, method) ||
      (this.options.globalEnhancers && key === '__exceptionFilters__' && this.config.getGlobalFilters().length > 0)
    );
  }

  #applies(type: object, method: object): boolean {
    const { config } = this;
    const global =
      this.options.globalEnhancers &&
      [config.getGlobalGuards(), config.getGlobalInterceptors(), config.getGlobalPipes(), config.getGlobalFilters()].some(
        (list) => list.length > 0,
      );
    return global || ENHANCERS.some((key) => this.#has(key, type, method));
  }
}

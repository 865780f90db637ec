import { Module, type DynamicModule, type ExceptionFilter, type FactoryProvider, type ModuleMetadata, type Provider } from '@nestjs/common';
import { assertOneCopy } from '@loopstack/shared';
import { APP_FILTER, DiscoveryModule, HttpAdapterHost } from '@nestjs/core';
import { Enhancers } from './declare/enhancers.js';
import { LoopstackExceptionFilter, NoExceptionFilter } from './exception-filter.js';
import { LoopstackOptionsToken, resolveLoopstackOptions, type LoopstackOptions, type ResolvedLoopstackOptions } from './options.js';
import { WorkflowRegistry } from './declare/registry.js';
import { RunService } from './run-service.js';
import { Subscriptions } from './events/subscriptions.js';
import { Workers } from './workers.js';

export interface LoopstackAsyncOptions extends Pick<ModuleMetadata, 'imports'> {
  readonly inject?: FactoryProvider['inject'];
  readonly useFactory: (...args: never[]) => LoopstackOptions | Promise<LoopstackOptions>;
}

const filterFor = (adapters: HttpAdapterHost, { httpErrors }: ResolvedLoopstackOptions): ExceptionFilter =>
  httpErrors ? new LoopstackExceptionFilter(adapters) : new NoExceptionFilter();

/**
 * Makes `RunService` injectable everywhere and finds the application's workflows. Global: import it once, beside the
 * module of a broker.
 */
@Module({})
export class LoopstackModule {
  /** @throws LoopstackError OPTION_INVALID, PACKAGE_DUPLICATED */
  static forRoot(options: LoopstackOptions = {}): DynamicModule {
    return LoopstackModule.define({ provide: LoopstackOptionsToken, useValue: resolveLoopstackOptions(options) });
  }

  static forRootAsync(options: LoopstackAsyncOptions): DynamicModule {
    const useFactory = async (...args: never[]) => resolveLoopstackOptions(await options.useFactory(...args));
    return LoopstackModule.define({ provide: LoopstackOptionsToken, inject: options.inject ?? [], useFactory }, options.imports ?? []);
  }

  private static define(options: Provider, imports: NonNullable<ModuleMetadata['imports']> = []): DynamicModule {
    assertOneCopy();
    return {
      module: LoopstackModule,
      global: true,
      imports: [DiscoveryModule, ...imports],
      providers: [
        options,
        WorkflowRegistry,
        Enhancers,
        Workers,
        Subscriptions,
        RunService,
        { provide: APP_FILTER, inject: [HttpAdapterHost, LoopstackOptionsToken], useFactory: filterFor },
      ],
      exports: [LoopstackOptionsToken, WorkflowRegistry, Workers, Subscriptions, RunService],
    };
  }
}

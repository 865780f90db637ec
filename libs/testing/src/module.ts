import { LoopstackModule, RunGateway, RunService, Subscriptions, Workers, type LoopstackOptions } from '@loopstack/core';
import {
  Inject,
  Module,
  type BeforeApplicationShutdown,
  type DynamicModule,
  type OnApplicationBootstrap,
  type Provider,
} from '@nestjs/common';
import { LoopstackHarness } from './harness.js';
import { MemoryGateway } from './broker/memory-gateway.js';
import { MemoryRuntime } from './broker/memory-runtime.js';
import { resolveMemoryBrokerOptions, type MemoryBrokerOptions, type ResolvedMemoryBrokerOptions } from './options.js';

/** Options of the application, and of the in-memory broker. All optional. */
export type LoopstackTestingOptions = LoopstackOptions & MemoryBrokerOptions;

const OPTIONS = Symbol.for('loopstack:testing-options');

const PROVIDERS: Provider[] = [
  {
    provide: MemoryRuntime,
    inject: [OPTIONS, Workers, Subscriptions],
    useFactory: (options: ResolvedMemoryBrokerOptions, workers: Workers, subscriptions: Subscriptions) =>
      new MemoryRuntime(options, workers, subscriptions),
  },
  { provide: RunGateway, inject: [MemoryRuntime], useFactory: (runtime: MemoryRuntime) => new MemoryGateway(runtime) },
  {
    provide: LoopstackHarness,
    inject: [MemoryRuntime, RunService],
    useFactory: (runtime: MemoryRuntime, runs: RunService) => new LoopstackHarness(runtime, runs),
  },
];

/** The whole runtime in memory, for tests: `Test.createTestingModule({ imports: [LoopstackTestingModule.forRoot(), …] })`. Global. */
@Module({})
export class LoopstackTestingModule implements OnApplicationBootstrap, BeforeApplicationShutdown {
  constructor(@Inject(MemoryRuntime) private readonly runtime: MemoryRuntime) {}

  /**
   * In place of `LoopstackModule.forRoot()` and the module of a broker.
   * @throws LoopstackError OPTION_INVALID, NAME_INVALID
   */
  static forRoot(options: LoopstackTestingOptions = {}): DynamicModule {
    return { ...LoopstackTestingModule.broker(options), imports: [LoopstackModule.forRoot(options)] };
  }

  /**
   * The broker alone, beside a `LoopstackModule.forRoot()` that the application imports itself.
   * @throws LoopstackError OPTION_INVALID, NAME_INVALID
   */
  static broker(options: MemoryBrokerOptions = {}): DynamicModule {
    return {
      module: LoopstackTestingModule,
      global: true,
      providers: [{ provide: OPTIONS, useValue: resolveMemoryBrokerOptions(options) }, ...PROVIDERS],
      exports: [RunGateway, LoopstackHarness],
    };
  }

  /** Workers start with the application; without `init()`, with the first run. @throws LoopstackError BOOT_FAILED */
  async onApplicationBootstrap(): Promise<void> {
    await this.runtime.started();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.runtime.stop();
  }
}

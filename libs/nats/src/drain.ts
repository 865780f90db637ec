import { Module, type DynamicModule } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { JetStreamServer } from './server.js';
import { natsToken } from './tokens.js';

/**
 * Where Nest's shutdown begins: with the module nearest to the root since 11, and with the farthest in 10. Modules beyond both
 * ends are told first in each of them.
 */
const ENDS = { first: -1, last: Number.MAX_VALUE } as const;

/**
 * Ends the worker before any `onModuleDestroy` of the application: a workflow that still runs needs the database that such a
 * hook disconnects.
 */
class Drain {
  readonly #server: JetStreamServer;
  constructor(server: JetStreamServer) {
    this.#server = server;
  }

  onModuleDestroy(): Promise<void> {
    return this.#server.close();
  }
}

@Module({})
export class DrainModule {
  /** One for each end, as Nest's order depends on its version. */
  static of(name: string | undefined): DynamicModule[] {
    return Object.entries(ENDS).map(([end, distance]) => {
      const provide = natsToken(Symbol.for(`loopstack:drain-${end}`), name ?? 'default');
      const useFactory = (server: JetStreamServer, modules: ModulesContainer): Drain => {
        for (const module of modules.values()) if (module.providers.has(provide)) module.distance = distance;
        return new Drain(server);
      };
      return { module: DrainModule, providers: [{ provide, inject: [natsToken(JetStreamServer, name), ModulesContainer], useFactory }] };
    });
  }
}

import { Module, type DynamicModule } from '@nestjs/common';
import { APP_FILTER, APP_PIPE } from '@nestjs/core';
import { ScheduleModule } from '@nestjs/schedule';
import { LoopstackModule } from '@loopstack/core';
import { NatsModule, type NatsOptions } from '@loopstack/nats';
import { AppController } from './app.controller.js';
import { ApplicationsModule } from './applications/applications.module.js';
import { AuthModule } from './auth/auth.module.js';
import { DocumentsModule } from './documents/documents.module.js';
import { HealthModule } from './health/health.module.js';
import { HttpErrorFilter } from './http/http-error.filter.js';
import { requestValidation } from './http/validation.js';
import { MyModule } from './my-module/my.module.js';
import { OrdersModule } from './orders/orders.module.js';
import { ReportsModule } from './reports/reports.module.js';
import { SETTINGS, type Settings } from './settings.js';
import { WebhooksModule } from './webhooks/webhooks.module.js';

function natsOptions({ nats, prefix, replicas, roles, workspaces, shutdownGraceMs, maxBlockedMs }: Settings): NatsOptions {
  const { servers, user, password, token, tls, credentials } = nats;
  return {
    servers,
    ...(credentials === undefined ? {} : { credentials }),
    connect: {
      ...(user === undefined ? {} : { user }),
      ...(password === undefined ? {} : { pass: password }),
      ...(token === undefined ? {} : { token }),
      ...(tls ? { tls: {} } : {}),
    },
    prefix,
    ...(replicas === undefined ? {} : { replicas }),
    roles,
    ...(workspaces === undefined ? {} : { workspaces }),
    shutdownGrace: shutdownGraceMs,
    ...(maxBlockedMs === undefined ? {} : { maxBlocked: maxBlockedMs }),
  };
}

/** The library is loaded only where there is a limit. */
function rateLimit({ rateLimit: limit }: Settings): Promise<DynamicModule>[] {
  return limit === 0 ? [] : [import('./http/rate-limit.js').then(({ RateLimitModule }) => RateLimitModule.forRoot(limit))];
}

@Module({})
export class AppModule {
  static with(settings: Settings): DynamicModule {
    return {
      module: AppModule,
      global: true,
      imports: [
        // HttpErrorFilter answers for all errors.
        LoopstackModule.forRoot({ httpErrors: false }),
        NatsModule.forRoot(natsOptions(settings)),
        ScheduleModule.forRoot(),
        ...rateLimit(settings),
        AuthModule,
        HealthModule,
        DocumentsModule,
        MyModule,
        WebhooksModule,
        ReportsModule,
        ApplicationsModule,
        OrdersModule,
      ],
      controllers: [AppController],
      providers: [
        { provide: SETTINGS, useValue: settings },
        { provide: APP_PIPE, useFactory: requestValidation },
        { provide: APP_FILTER, useClass: HttpErrorFilter },
      ],
      exports: [SETTINGS],
    };
  }
}

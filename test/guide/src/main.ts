import { Module } from '@nestjs/common';
import { APP_GUARD, NestFactory } from '@nestjs/core';
import { ScheduleModule } from '@nestjs/schedule';
import { LoopstackModule } from '@loopstack/core';
import { JetStreamServer, NatsModule } from '@loopstack/nats';
import { AppController } from './app.controller';
import { ApplicationsController } from './applications.controller';
import { ApplicationsWorkspace } from './applications-workspace';
import { JwtGuard, JwtStrategy } from './jwt';
import { MainWorkspace } from './main-workspace';
import { MyWorkflow } from './my-module/my-workflow.workflow';
import { MyWorkspace } from './my-module/my-workspace';
import { OrderProcessingService } from './order-processing.service';
import { OrdersWorkspace } from './orders-workspace';
import { ReportsWorkspace } from './reports-workspace';
import { TaskScheduler } from './task-scheduler';
import { TasksController } from './tasks.controller';
import { WebhookController } from './webhook.controller';
import { DailyReportWorkflow } from './workflows/daily-report.workflow';
import { ProcessApplicationWorkflow } from './workflows/process-application.workflow';
import { ProcessOrderWorkflow } from './workflows/process-order.workflow';
import { ProcessWebhookWorkflow } from './workflows/process-webhook.workflow';

const workspaces = [MyWorkspace, MainWorkspace, ReportsWorkspace, ApplicationsWorkspace, OrdersWorkspace];
const workflows = [MyWorkflow, ProcessWebhookWorkflow, DailyReportWorkflow, ProcessApplicationWorkflow, ProcessOrderWorkflow];

@Module({
  imports: [LoopstackModule.forRoot(), NatsModule.forRoot({ servers: process.env['NATS_URL'] ?? '' }), ScheduleModule.forRoot()],
  controllers: [AppController, WebhookController, ApplicationsController, TasksController],
  providers: [...workspaces, ...workflows, TaskScheduler, OrderProcessingService, JwtStrategy, { provide: APP_GUARD, useClass: JwtGuard }],
})
class AppModule {}

async function bootstrap() {
  const app = await NestFactory.create(AppModule);
  app.connectMicroservice({ strategy: app.get(JetStreamServer) });
  app.enableShutdownHooks();
  await app.startAllMicroservices();
  await app.listen(0, '127.0.0.1');
  console.log(`Listening at ${await app.getUrl()}`);
}

void bootstrap();

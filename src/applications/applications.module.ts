import { Module } from '@nestjs/common';
import { ApplicationsController } from './applications.controller.js';
import { ApplicationsWorkspace } from './applications-workspace.js';
import { ProcessApplicationWorkflow } from './workflows/process-application.workflow.js';

@Module({ controllers: [ApplicationsController], providers: [ApplicationsWorkspace, ProcessApplicationWorkflow] })
export class ApplicationsModule {}

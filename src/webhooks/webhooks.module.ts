import { Module } from '@nestjs/common';
import { MainWorkspace } from './main-workspace.js';
import { WebhookController } from './webhook.controller.js';
import { ProcessWebhookWorkflow } from './workflows/process-webhook.workflow.js';

@Module({ controllers: [WebhookController], providers: [MainWorkspace, ProcessWebhookWorkflow] })
export class WebhooksModule {}

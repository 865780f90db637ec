import { Workspace } from '@loopstack/core';
import { ProcessWebhookWorkflow } from './workflows/process-webhook.workflow.js';

@Workspace({ title: 'Main', workflows: [ProcessWebhookWorkflow] })
export class MainWorkspace {}

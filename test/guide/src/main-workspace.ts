import { Workspace } from '@loopstack/core';
import { ProcessWebhookWorkflow } from './workflows/process-webhook.workflow';

@Workspace({ workflows: [ProcessWebhookWorkflow] })
export class MainWorkspace {}

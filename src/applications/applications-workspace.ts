import { Workspace } from '@loopstack/core';
import { ProcessApplicationWorkflow } from './workflows/process-application.workflow.js';

@Workspace({ title: 'Applications', workflows: [ProcessApplicationWorkflow] })
export class ApplicationsWorkspace {}

import { Workspace } from '@loopstack/core';
import { ProcessApplicationWorkflow } from './workflows/process-application.workflow';

@Workspace({ workflows: [ProcessApplicationWorkflow] })
export class ApplicationsWorkspace {}

import { Workspace } from '@loopstack/core';
import { MyWorkflow } from './my-workflow.workflow';

@Workspace({ workflows: [MyWorkflow] })
export class MyWorkspace {}

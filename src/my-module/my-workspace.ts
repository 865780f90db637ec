import { Workspace } from '@loopstack/core';
import { MyWorkflow } from './my-workflow.workflow.js';

@Workspace({ title: 'My first workspace', workflows: [MyWorkflow] })
export class MyWorkspace {}

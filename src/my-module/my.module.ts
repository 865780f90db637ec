import { Module } from '@nestjs/common';
import { MyWorkflow } from './my-workflow.workflow.js';
import { MyWorkspace } from './my-workspace.js';

@Module({ providers: [MyWorkspace, MyWorkflow] })
export class MyModule {}

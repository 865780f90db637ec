import { Body, Controller, Post } from '@nestjs/common';
import { Public } from '@loopstack/shared';
import { RunService } from '@loopstack/core';
import { MyWorkflow } from './my-module/my-workflow.workflow';
import { MyWorkspace } from './my-module/my-workspace';

@Controller()
export class AppController {
  constructor(private readonly runService: RunService) {}

  @Public()
  @Post('run-my-workflow')
  async runMyWorkflow(@Body() payload: unknown) {
    await this.runService.run(MyWorkflow.name, MyWorkspace.name, payload, 'user-123');
    return { message: 'Automation run is queued.' };
  }
}

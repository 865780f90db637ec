import { Body, Controller, Post } from '@nestjs/common';
import { RunService } from '@loopstack/core';
import { Public } from '@loopstack/shared';
import { MyPayload, MyWorkflow } from './my-module/my-workflow.workflow.js';
import { MyWorkspace } from './my-module/my-workspace.js';

@Controller()
export class AppController {
  constructor(private readonly runService: RunService) {}

  /** Open to everybody, so the run is on behalf of one fixed user. */
  @Public()
  @Post('run-my-workflow')
  async runMyWorkflow(@Body() payload: MyPayload) {
    const run = await this.runService.run(MyWorkflow.name, MyWorkspace.name, payload, 'user-123');
    return { message: 'Automation run is queued.', runId: run.id };
  }
}

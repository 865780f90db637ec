import { Body, Controller, Post, UseGuards } from '@nestjs/common';
import { AuthGuard } from '@nestjs/passport';
import { RunService } from '@loopstack/core';
import type { AuthenticatedUser } from '../auth/claims.js';
import { ApplicationsWorkspace } from './applications-workspace.js';
import { CurrentUser } from './decorators/current-user.decorator.js';
import { ApplicationFormData, ProcessApplicationWorkflow } from './workflows/process-application.workflow.js';

@Controller('applications')
export class ApplicationsController {
  constructor(private readonly runService: RunService) {}

  @UseGuards(AuthGuard('jwt'))
  @Post('submit')
  async submitApplication(@Body() formData: ApplicationFormData, @CurrentUser() user: AuthenticatedUser) {
    const submittedAt = new Date().toISOString(); // wall clock: for people to read
    const run = await this.runService.run(
      ProcessApplicationWorkflow.name,
      ApplicationsWorkspace.name,
      { applicantData: formData, submittedAt, source: 'web-form' },
      user.id,
    );
    return { message: 'Application submitted successfully', status: 'processing', applicationId: run.id };
  }
}

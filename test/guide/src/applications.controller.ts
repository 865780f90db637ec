import { Body, Controller, Post, UseGuards } from '@nestjs/common';
import { AuthGuard } from '@nestjs/passport';
import { CurrentUser } from './decorators/current-user.decorator';
import { RunService } from '@loopstack/core';
import { ProcessApplicationWorkflow } from './workflows/process-application.workflow';
import { ApplicationsWorkspace } from './applications-workspace';

interface ApplicationFormData {
  firstName: string;
  lastName: string;
  email: string;
  resume: string;
  coverLetter: string;
}

@Controller('applications')
export class ApplicationsController {
  constructor(private readonly runService: RunService) {}

  @UseGuards(AuthGuard('jwt'))
  @Post('submit')
  async submitApplication(@Body() formData: ApplicationFormData, @CurrentUser() user: { id: string }) {
    const payload = { applicantData: formData, submittedAt: new Date().toISOString(), source: 'web-form' };
    await this.runService.run(ProcessApplicationWorkflow.name, ApplicationsWorkspace.name, payload, user.id);
    return { message: 'Application submitted successfully', status: 'processing' };
  }
}

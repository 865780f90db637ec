import { Injectable } from '@nestjs/common';
import { Cron, CronExpression } from '@nestjs/schedule';
import { RunService } from '@loopstack/core';
import { DailyReportWorkflow } from './workflows/daily-report.workflow';
import { ReportsWorkspace } from './reports-workspace';

@Injectable()
export class TaskScheduler {
  constructor(private readonly runService: RunService) {}

  @Cron(CronExpression.EVERY_DAY_AT_9AM)
  async generateDailyReports() {
    const users = await this.getUsersWithReportsEnabled();
    for (const user of users) {
      const payload = { reportDate: new Date().toISOString(), reportType: 'daily' };
      await this.runService.run(DailyReportWorkflow.name, ReportsWorkspace.name, payload, user.id);
    }
  }

  private async getUsersWithReportsEnabled() {
    return [{ id: 'reader-1' }, { id: 'reader-2' }];
  }
}

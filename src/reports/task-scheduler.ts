import { Injectable } from '@nestjs/common';
import { Cron, CronExpression } from '@nestjs/schedule';
import { RunService } from '@loopstack/core';
import { ReportSubscriptions, type Subscriber } from './report-subscriptions.js';
import { ReportsWorkspace } from './reports-workspace.js';
import { DailyReportWorkflow } from './workflows/daily-report.workflow.js';

@Injectable()
export class TaskScheduler {
  constructor(
    private readonly runService: RunService,
    private readonly subscriptions: ReportSubscriptions,
  ) {}

  /** In UTC: every replica does this, and they must mean the same day, wherever they are. */
  @Cron(CronExpression.EVERY_DAY_AT_9AM, { name: 'daily-reports', timeZone: 'UTC' })
  async generateDailyReports(): Promise<void> {
    // To the hour: replicas fire some milliseconds apart, and a key stands for one payload.
    const reportDate = `${new Date().toISOString().slice(0, 13)}:00:00.000Z`; // wall clock: by which @Cron fires
    const users = await this.#getUsersWithReportsEnabled();
    const runs = users.map((user) =>
      this.runService.run(
        DailyReportWorkflow.name,
        ReportsWorkspace.name,
        { reportDate, reportType: 'daily' },
        user.id,
        // One run per user and day, however many replicas ask for it.
        { idempotencyKey: `${user.id} ${reportDate.slice(0, 10)}` },
      ),
    );
    const refused = (await Promise.allSettled(runs)).filter((settled) => settled.status === 'rejected');
    // One user's failure is not another's; the scheduler logs what is thrown here.
    if (refused.length > 0)
      throw new AggregateError(
        refused.map(({ reason }) => reason as unknown),
        `${refused.length} of ${users.length} daily reports were not started`,
      );
  }

  async #getUsersWithReportsEnabled(): Promise<Subscriber[]> {
    return this.subscriptions.subscribers();
  }
}

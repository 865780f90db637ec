import { Module } from '@nestjs/common';
import { ReportSubscriptions } from './report-subscriptions.js';
import { ReportsController } from './reports.controller.js';
import { ReportsWorkspace } from './reports-workspace.js';
import { TaskScheduler } from './task-scheduler.js';
import { DailyReportWorkflow } from './workflows/daily-report.workflow.js';

@Module({ controllers: [ReportsController], providers: [ReportsWorkspace, DailyReportWorkflow, ReportSubscriptions, TaskScheduler] })
export class ReportsModule {}

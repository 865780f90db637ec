import { Workspace } from '@loopstack/core';
import { DailyReportWorkflow } from './workflows/daily-report.workflow.js';

@Workspace({ title: 'Reports', workflows: [DailyReportWorkflow] })
export class ReportsWorkspace {}

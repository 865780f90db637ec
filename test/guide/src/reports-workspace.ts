import { Workspace } from '@loopstack/core';
import { DailyReportWorkflow } from './workflows/daily-report.workflow';

@Workspace({ workflows: [DailyReportWorkflow] })
export class ReportsWorkspace {}

import { IsIn, IsISO8601 } from 'class-validator';
import { Workflow, type RunContext } from '@loopstack/core';
import { Documents } from '../../documents/documents.js';

const DAY_MS = 86_400_000;

export class DailyReportPayload {
  /** End of the 24 hours that are reported. */
  @IsISO8601({ strict: true })
  reportDate!: string;

  @IsIn(['daily'])
  reportType!: 'daily';
}

/** The part of a receipt that a report adds up. */
interface Sale {
  readonly placedAt: string;
  readonly totalCents: number;
}

export interface DailyReport {
  /** UTC day, which is the id of the report. */
  readonly day: string;
  readonly from: string;
  readonly to: string;
  readonly orders: number;
  readonly totalCents: number;
}

@Workflow({ title: 'Daily report', payload: DailyReportPayload })
export class DailyReportWorkflow {
  constructor(private readonly documents: Documents) {}

  async run({ reportDate }: DailyReportPayload, { userId }: RunContext): Promise<DailyReport> {
    const end = Date.parse(reportDate);
    const sales = (await this.documents.list<Sale>('receipts', userId)).filter(({ placedAt }) => {
      const time = Date.parse(placedAt);
      return time > end - DAY_MS && time <= end;
    });
    const to = new Date(end).toISOString();
    const day = to.slice(0, 10);
    return this.documents.create<DailyReport>('reports', userId, day, {
      day,
      from: new Date(end - DAY_MS).toISOString(),
      to,
      orders: sales.length,
      totalCents: sales.reduce((sum, { totalCents }) => sum + totalCents, 0),
    });
  }
}

import { Body, Controller, Put } from '@nestjs/common';
import { CurrentUser } from '@loopstack/shared';
import { IsBoolean } from 'class-validator';
import type { AuthenticatedUser } from '../auth/claims.js';
import { ReportSubscriptions } from './report-subscriptions.js';

export class Subscription {
  @IsBoolean()
  enabled!: boolean;
}

@Controller('reports')
export class ReportsController {
  constructor(private readonly subscriptions: ReportSubscriptions) {}

  /** Turns the current user's daily report on or off. */
  @Put('subscription')
  async subscribe(@Body() { enabled }: Subscription, @CurrentUser() user: AuthenticatedUser): Promise<Subscription> {
    await this.subscriptions.set(user.id, enabled);
    return { enabled };
  }
}

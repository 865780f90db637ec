import { Controller, Post } from '@nestjs/common';
import { Public } from '@loopstack/shared';
import { OrderProcessingService } from './order-processing.service';
import { TaskScheduler } from './task-scheduler';

/** The guide's two providers that no request reaches, on request. */
@Public()
@Controller('tasks')
export class TasksController {
  constructor(
    private readonly scheduler: TaskScheduler,
    private readonly orders: OrderProcessingService,
  ) {}

  @Post('daily-reports')
  async dailyReports() {
    await this.scheduler.generateDailyReports();
    return {};
  }

  @Post('orders')
  async processPendingOrders() {
    return this.orders.processPendingOrders();
  }
}

import { randomUUID } from 'node:crypto';
import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { CurrentUser } from '@loopstack/shared';
import type { AuthenticatedUser } from '../auth/claims.js';
import { Documents } from '../documents/documents.js';
import { Problem } from '../http/problem.js';
import { NewOrder, type Order } from './order.js';
import { OrderProcessingService } from './order-processing.service.js';

@Controller('orders')
export class OrdersController {
  constructor(
    private readonly documents: Documents,
    private readonly processing: OrderProcessingService,
  ) {}

  /** Places an order of the current user; it waits to be processed. */
  @Post()
  async place(@Body() { items, priority = 'normal' }: NewOrder, @CurrentUser() { id: userId }: AuthenticatedUser): Promise<Order> {
    const placedAt = new Date().toISOString(); // wall clock: for people to read
    const order: Order = { id: randomUUID(), userId, items, priority, placedAt };
    return this.documents.create<Order>('orders', userId, order.id, order);
  }

  /** Starts a run for each order that waits, of every user: not for everybody who has a token. */
  @Post('process-pending')
  @HttpCode(202)
  async processPending(@CurrentUser() { scopes }: AuthenticatedUser): Promise<{ processed: number }> {
    if (!scopes.includes('orders:process')) throw new Problem('SCOPE_MISSING');
    return this.processing.processPendingOrders();
  }
}

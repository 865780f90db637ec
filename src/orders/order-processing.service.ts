import { Injectable } from '@nestjs/common';
import { RunService } from '@loopstack/core';
import { Documents } from '../documents/documents.js';
import type { Order } from './order.js';
import { OrdersWorkspace } from './orders-workspace.js';
import { ProcessOrderWorkflow } from './workflows/process-order.workflow.js';

@Injectable()
export class OrderProcessingService {
  constructor(
    private readonly runService: RunService,
    private readonly documents: Documents,
  ) {}

  async processPendingOrders() {
    const pendingOrders = await this.#getPendingOrders();
    const promises = pendingOrders.map((order) =>
      this.runService.run(
        ProcessOrderWorkflow.name,
        OrdersWorkspace.name,
        { orderId: order.id, orderData: order, priority: order.priority },
        order.userId,
        // An order stays pending until its run has ended: asking again meanwhile starts no second one.
        { idempotencyKey: order.id },
      ),
    );
    await Promise.all(promises);
    return { processed: pendingOrders.length };
  }

  async #getPendingOrders(): Promise<Order[]> {
    return this.documents.list<Order>('orders');
  }
}

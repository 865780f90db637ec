import { Injectable } from '@nestjs/common';
import { RunService } from '@loopstack/core';
import { ProcessOrderWorkflow } from './workflows/process-order.workflow';
import { OrdersWorkspace } from './orders-workspace';

@Injectable()
export class OrderProcessingService {
  constructor(private readonly runService: RunService) {}

  async processPendingOrders() {
    const pendingOrders = await this.getPendingOrders();
    const promises = pendingOrders.map((order) =>
      this.runService.run(
        ProcessOrderWorkflow.name,
        OrdersWorkspace.name,
        { orderId: order.id, orderData: order, priority: order.priority },
        order.userId,
      ),
    );
    await Promise.all(promises);
    return { processed: pendingOrders.length };
  }

  private async getPendingOrders() {
    return Array.from({ length: 25 }, (_, i) => ({ id: `order-${i}`, priority: i % 3, userId: `buyer-${i}` }));
  }
}

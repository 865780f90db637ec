import { Module } from '@nestjs/common';
import { OrderProcessingService } from './order-processing.service.js';
import { OrdersController } from './orders.controller.js';
import { OrdersWorkspace } from './orders-workspace.js';
import { ProcessOrderWorkflow } from './workflows/process-order.workflow.js';

@Module({ controllers: [OrdersController], providers: [OrdersWorkspace, ProcessOrderWorkflow, OrderProcessingService] })
export class OrdersModule {}

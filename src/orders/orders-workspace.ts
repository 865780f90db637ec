import { Workspace } from '@loopstack/core';
import { ProcessOrderWorkflow } from './workflows/process-order.workflow.js';

@Workspace({ title: 'Orders', workflows: [ProcessOrderWorkflow] })
export class OrdersWorkspace {}

import { Workspace } from '@loopstack/core';
import { ProcessOrderWorkflow } from './workflows/process-order.workflow';

@Workspace({ workflows: [ProcessOrderWorkflow] })
export class OrdersWorkspace {}

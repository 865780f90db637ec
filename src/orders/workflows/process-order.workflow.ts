import { Type } from 'class-transformer';
import { IsDefined, IsIn, IsOptional, IsString, Length, ValidateNested } from 'class-validator';
import { Workflow, type RunContext } from '@loopstack/core';
import { Documents } from '../../documents/documents.js';
import { OrderData, PRIORITIES, type OrderItem } from '../order.js';

export class ProcessOrderPayload {
  @IsString()
  @Length(1, 64)
  orderId!: string;

  @IsDefined()
  @ValidateNested()
  @Type(() => OrderData)
  orderData!: OrderData;

  @IsOptional()
  @IsIn(PRIORITIES)
  priority?: (typeof PRIORITIES)[number];
}

export interface Receipt {
  readonly orderId: string;
  readonly placedAt: string;
  readonly priority: string;
  readonly lines: readonly { readonly sku: string; readonly quantity: number; readonly amountCents: number }[];
  readonly totalCents: number;
  readonly runId: string;
}

/** Pure. */
export function totals(items: readonly OrderItem[]): Pick<Receipt, 'lines' | 'totalCents'> {
  const lines = items.map(({ sku, quantity, unitPriceCents }) => ({ sku, quantity, amountCents: quantity * unitPriceCents }));
  return { lines, totalCents: lines.reduce((sum, { amountCents }) => sum + amountCents, 0) };
}

@Workflow({ title: 'Process an order', payload: ProcessOrderPayload, concurrency: 64 })
export class ProcessOrderWorkflow {
  constructor(private readonly documents: Documents) {}

  async run({ orderId, orderData, priority = 'normal' }: ProcessOrderPayload, { runId, userId }: RunContext): Promise<Receipt> {
    const today = new Date().toISOString(); // wall clock: for people to read
    const { items, placedAt = today } = orderData;
    const receipt = await this.documents.create<Receipt>('receipts', userId, orderId, {
      orderId,
      placedAt,
      priority,
      ...totals(items),
      runId,
    });
    // Last: an attempt that dies before this leaves the order pending, and the next one finds the receipt.
    await this.documents.remove('orders', userId, orderId);
    return receipt;
  }
}

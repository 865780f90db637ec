import { OnRun, RunService, Workflow, Workspace, type RunContext, type RunNotice } from '@loopstack/core';
import { Injectable } from '@nestjs/common';
import { IsInt, IsString, Min } from 'class-validator';

export class Order {
  @IsString()
  orderId!: string;

  @IsInt()
  @Min(1)
  amount!: number;
}

/** Charges cards. */
@Injectable()
export class Payments {
  charge(order: Order): Promise<string> {
    return Promise.resolve(`charged ${order.amount}`);
  }
}

@Workflow({ payload: Order, retry: { attempts: 3, delay: '1m' } })
export class ProcessOrder {
  constructor(private readonly payments: Payments) {}

  async run(order: Order, ctx: RunContext): Promise<{ receipt: string; attempt: number }> {
    return { receipt: await this.payments.charge(order), attempt: ctx.attempt };
  }
}

@Workflow()
export class SendReceipt {
  run({ receipt }: { receipt: string }): string {
    return `sent ${receipt}`;
  }
}

@Workspace({ workflows: [ProcessOrder, SendReceipt] })
export class Orders {}

/** Sends a receipt for each order that was processed. */
@Injectable()
export class Receipts {
  constructor(private readonly runs: RunService) {}

  @OnRun(ProcessOrder, 'succeeded')
  async send({ result, userId = 'nobody' }: RunNotice<{ receipt: string; attempt: number }, 'succeeded'>): Promise<void> {
    await this.runs.run(SendReceipt, Orders, { receipt: result.receipt }, userId);
  }
}

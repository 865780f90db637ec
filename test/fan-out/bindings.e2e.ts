import { OnEvent, Workflow, Workspace, type RunContext } from '@loopstack/core';
import { HEADER, eventRunId } from '@loopstack/shared';
import { IsInt, IsString } from 'class-validator';
import { Rig, until } from './rig.js';

/** Runs by workflow, in the order of their starts. */
const ran = new Map<string, { payload: unknown; user: string; ctx: RunContext }[]>();
function note(payload: unknown, ctx: RunContext): void {
  const { workflow, userId } = ctx;
  ran.set(workflow, [...(ran.get(workflow) ?? []), { payload, user: userId, ctx }]);
}
const count = (workflow: string): number => ran.get(workflow)?.length ?? 0;

interface OrderCreated {
  readonly id: number;
  readonly customer: string;
  readonly total: number;
}

class ReceiptPayload {
  @IsInt() order!: number;
  @IsString() region!: string;
}

const customer = (event: OrderCreated): string => event.customer;

@Workflow({
  on: [
    {
      subject: 'orders.*.created',
      map: (event: OrderCreated, { tokens }) => ({ order: event.id, region: tokens[0] as string }),
      userId: customer,
    },
  ],
  payload: ReceiptPayload,
})
class SendReceipt {
  run(payload: ReceiptPayload, ctx: RunContext): void {
    note(payload, ctx);
  }
}

@OnEvent('orders.*.created', { userId: customer, when: (event: OrderCreated) => event.total >= 1000 })
@Workflow()
class ReviewLargeOrder {
  run(payload: object, ctx: RunContext): void {
    note(payload, ctx);
  }
}

@OnEvent('orders.>', { userId: 'warehouse' })
@Workflow({ concurrency: 2 })
class ReserveStock {
  async run(payload: object, ctx: RunContext): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 2));
    note(payload, ctx);
  }
}

@OnEvent('orders.eu.created', { userId: customer })
@OnEvent('orders.us.created', { userId: customer })
@Workflow()
class CountOrders {
  run(payload: object, ctx: RunContext): void {
    note(payload, ctx);
  }
}

@OnEvent('orders.*.created', { userId: customer, map: (event: OrderCreated) => ({ id: event.id }) })
@Workflow()
class Audit {
  run(payload: object, ctx: RunContext): void {
    note(payload, ctx);
  }
}

@Workspace({ workflows: [SendReceipt, ReviewLargeOrder] })
class Mail {}
@Workspace({ workflows: [ReserveStock] })
class Stock {}
@Workspace({ workflows: [CountOrders, Audit] })
class Statistics {}

describe('one event, many workflows', () => {
  const rig = Rig.use('all');
  beforeAll(async () => {
    await rig.stream('ORDERS', 'orders.>');
    const mail = { name: 'mail', providers: [Mail, SendReceipt, ReviewLargeOrder] };
    // Three services, each with several replicas of one of them.
    await rig.service(mail);
    await rig.service(mail);
    await rig.service({ name: 'stock', providers: [Stock, ReserveStock] });
    await rig.service({ name: 'statistics', providers: [Statistics, CountOrders, Audit] });
    await rig.service({ name: 'statistics', providers: [Statistics, CountOrders, Audit] });
    const events = Array.from({ length: 200 }, (_, id): OrderCreated => ({ id, customer: `c${id % 7}`, total: id % 4 === 0 ? 1000 : 10 }));
    await Promise.all(events.map((event) => rig.emit(event.id % 2 ? 'orders.eu.created' : 'orders.us.created', event)));
    await until(
      'all runs',
      () => count('SendReceipt') >= 200 && count('ReserveStock') >= 200 && count('CountOrders') >= 200 && count('Audit') >= 200,
    );
    await until('large orders', () => count('ReviewLargeOrder') >= 50);
    await until('outcomes', async () => (await rig.outcomes()).filter((n) => n > 0).length >= 850);
  });

  it('starts one run of each workflow for each event that it wants', () => {
    expect(Object.fromEntries([...ran].map(([name, runs]) => [name, runs.length]))).toEqual({
      SendReceipt: 200,
      ReviewLargeOrder: 50,
      ReserveStock: 200,
      CountOrders: 200,
      Audit: 200,
    });
  });

  it('stores one command and one outcome for each event and workflow', async () => {
    expect(await rig.commands()).toHaveLength(850);
    expect(await rig.duplicateCommands()).toBe(0);
    expect(await rig.outcomes()).toEqual(Array(850).fill(1));
  });

  it('gives the captured tokens to the mapping, and the user that it names to the run', () => {
    const regions = new Set(
      ran.get('SendReceipt')?.map(({ payload }) => `${(payload as ReceiptPayload).order % 2} ${(payload as ReceiptPayload).region}`),
    );
    expect(regions).toEqual(new Set(['0 us', '1 eu']));
    expect(ran.get('SendReceipt')?.every(({ payload, user }) => user === `c${(payload as ReceiptPayload).order % 7}`)).toBe(true);
    expect(ran.get('ReserveStock')?.every(({ user }) => user === 'warehouse')).toBe(true);
  });

  it('derives the run id from stream, sequence and workflow', async () => {
    for (const { header } of (await rig.commands('Statistics', 'Audit')).slice(0, 10)) {
      const [stream, sequence] = (header(HEADER.EVENT) as string).split(':') as [string, string];
      const { time } = await rig.jsm.streams.getMessage(stream, { seq: Number(sequence) });
      expect(header(HEADER.RUN_ID)).toBe(eventRunId('Statistics', 'Audit', stream, Number(sequence), time.getTime()));
    }
  });

  it('keeps a durable for each subject and workflow', async () => {
    const durables = (await rig.jsm.consumers.list('ORDERS').next()).map(({ name }) => name).toSorted();
    expect(durables).toEqual([
      'loopstack~on~Mail~ReviewLargeOrder~orders,+,created',
      'loopstack~on~Mail~SendReceipt~orders,+,created',
      'loopstack~on~Statistics~Audit~orders,+,created',
      'loopstack~on~Statistics~CountOrders~orders,eu,created',
      'loopstack~on~Statistics~CountOrders~orders,us,created',
      'loopstack~on~Stock~ReserveStock~orders,#',
    ]);
  });
});

import {
  NonRetryableError,
  OnRun,
  RunService,
  Workflow,
  Workspace,
  currentCauseHeaders,
  type ChainDeclaration,
  type RunContext,
  type RunNotice,
} from '@loopstack/core';
import { HEADER, type RunHandle } from '@loopstack/shared';
import { NATS_CONNECTION, type NatsConnection } from '@loopstack/nats';
import { Inject, Injectable, type Type } from '@nestjs/common';
import { IsString } from 'class-validator';
import { Rig, until, type Service } from './rig.js';

interface Seen {
  readonly name: string;
  readonly payload: unknown;
  readonly ctx: RunContext;
}

/** A workflow that notes its runs in `seen`; `result` is what it returns. */
function noting(
  seen: Seen[],
  name: string,
  result: (payload: Record<string, unknown>) => unknown,
  options: object = {},
): Type<{ run(p: object, c: RunContext): unknown }> {
  class Noting {
    run(payload: Record<string, unknown>, ctx: RunContext): unknown {
      seen.push({ name, payload, ctx });
      return result(payload);
    }
  }
  Workflow({ name, ...options })(Noting as never);
  return Noting;
}

function space(name: string, ...workflows: Type<object>[]): Type<object>[] {
  class Space {}
  Workspace({ name, workflows: workflows as never })(Space);
  return [Space, ...workflows];
}

describe('a chain of workflows', () => {
  const seen: Seen[] = [];
  const rig = Rig.use('all');
  let ordered: RunHandle;

  beforeAll(async () => {
    class ShipPayload {
      @IsString() address!: string;
    }
    const ship = noting(seen, 'Ship', ({ address }) => `shipped to ${String(address)}`, { payload: ShipPayload });
    const bill = noting(
      seen,
      'Bill',
      () => {
        throw new Error('no money');
      },
      {
        retry: { attempts: 1 },
        then: [
          { workflow: 'Remind', workspace: 'Finance', on: 'failed', map: (_: unknown, run: RunNotice) => ({ why: run.error?.message }) },
        ] satisfies ChainDeclaration[],
      },
    );
    const remind = noting(seen, 'Remind', () => undefined);
    const order = noting(seen, 'Order', ({ id }) => ({ id, address: 'Main St', quiet: id === 'quiet' }), {
      then: [
        () => ({ workflow: ship, workspace: 'Logistics', map: (result: { address: string }) => ({ address: result.address }) }),
        { workflow: bill, when: (result: { quiet: boolean }) => !result.quiet },
        { workflow: ship, workspace: 'Logistics', on: 'failed' },
      ] satisfies ChainDeclaration[],
    });
    // The target of a chain may be in another service than the workflow that starts it.
    await rig.service({ name: 'logistics', providers: space('Logistics', ship) });
    const shop = await rig.service({ name: 'shop', providers: [...space('Shop', order), ...space('Finance', bill, remind)] });
    ordered = await shop.get(RunService).run('Order', 'Shop', { id: 'o1' }, 'customer-1', { correlationId: 'cart-9' });
    await shop.get(RunService).run('Order', 'Shop', { id: 'quiet' }, 'customer-2');
    await until('the chain', () => seen.some(({ name }) => name === 'Remind') && seen.filter(({ name }) => name === 'Ship').length === 2);
  });

  const of = (name: string, userId = 'customer-1'): Seen =>
    seen.find((entry) => entry.name === name && entry.ctx.userId === userId) as Seen;

  it('starts the next one with the result, for the same user', () => {
    expect(of('Ship').payload).toEqual({ address: 'Main St' });
    expect(of('Ship', 'customer-2').payload).toEqual({ address: 'Main St' });
    expect(of('Bill').payload).toEqual({ id: 'o1', address: 'Main St', quiet: false });
  });

  it('is left out where it is not wanted', () => {
    expect(seen.filter(({ name }) => name === 'Bill')).toHaveLength(1);
  });

  it('goes on from a failure, too', () => {
    expect(of('Remind').payload).toEqual({ why: expect.stringContaining('no money') });
  });

  it('records the cause, counts the depth and passes the correlation on', () => {
    const { ctx: bill } = of('Bill');
    const { ctx: remind } = of('Remind');
    expect(bill.headers).toMatchObject({ [HEADER.CAUSE]: ordered.id, [HEADER.CAUSE_DEPTH]: '1' });
    expect(remind.headers).toMatchObject({ [HEADER.CAUSE]: bill.runId, [HEADER.CAUSE_DEPTH]: '2' });
    expect([of('Order').ctx, bill, remind, of('Ship').ctx].map(({ correlationId }) => correlationId)).toEqual(Array(4).fill('cart-9'));
    const { ctx: first } = of('Order', 'customer-2');
    expect(of('Ship', 'customer-2').ctx.correlationId).toBe(first.runId);
  });

  it('makes a dead letter of a result that the next workflow refuses', async () => {
    const strict: Seen[] = [];
    class Refusing {
      @IsString() name!: string;
    }
    const last = noting(strict, 'Last', () => undefined, { payload: Refusing });
    const first = noting(strict, 'First', () => ({ name: 7 }), { then: [last] });
    const service = await rig.service({ providers: space('Strict', first, last) });
    await service.get(RunService).run('First', 'Strict', {}, 'u');
    const [letter] = await until('the letter', async () => {
      const letters = await service.deadLetters.list({ workflow: 'Last' });
      return letters.length > 0 ? letters : undefined;
    });
    expect(letter).toMatchObject({ workspace: 'Strict', reason: 'invalid', code: 'PAYLOAD_INVALID', stream: 'LOOPSTACK_EVENTS' });
  });

  it('must name a workspace that cannot be found, or the boot stops', async () => {
    const lone = noting([], 'Lone', () => undefined, { then: ['Elsewhere'] });
    await expect(rig.service({ providers: space('Lonely', lone) })).rejects.toMatchObject({
      code: 'BOOT_FAILED',
      message: expect.stringContaining('no workspace of this process lists Elsewhere'),
    });
  });
});

describe('a circle of workflows', () => {
  const seen: Seen[] = [];
  const rig = Rig.use('all');
  let service: Service;

  beforeAll(async () => {
    const ping: Type<{ run(p: object, c: RunContext): unknown }> = noting(seen, 'Ping', () => ({}), { then: [() => pong] });
    const pong = noting(seen, 'Pong', () => ({}), { then: [() => ping] });

    @Workflow()
    class Recursive {
      constructor(private readonly runs: RunService) {}
      async run(payload: object, ctx: RunContext): Promise<void> {
        seen.push({ name: 'Recursive', payload, ctx });
        await new Promise((resolve) => setImmediate(resolve));
        await this.runs.run('Recursive', 'Circles', {}, ctx.userId);
      }
    }
    Inject(RunService)(Recursive, undefined, 0);

    @Workflow({ on: [{ subject: 'echo', userId: 'u', map: () => ({}) }] })
    class Echo {
      constructor(@Inject(NATS_CONNECTION) private readonly nc: NatsConnection) {}
      async run(payload: object, ctx: RunContext): Promise<void> {
        seen.push({ name: 'Echo', payload, ctx });
        await rig.emit('echo', {}, ctx.causeHeaders);
        await this.nc.flush();
      }
    }
    const stumble = noting(
      seen,
      'Stumble',
      () => {
        throw new NonRetryableError('again');
      },
      { then: [{ workflow: 'Stumble', on: 'failed' }] satisfies ChainDeclaration[] },
    );
    await rig.stream('ECHO', 'echo');
    service = await rig.service({ providers: space('Circles', ping, pong, stumble, Recursive, Echo), loopstack: { maxCauseDepth: 6 } });
  });

  const count = (name: string): number => seen.filter((entry) => entry.name === name).length;
  const tooDeep = async (workflow: string): Promise<void> => {
    const [letter] = await until(`the letter of ${workflow}`, async () => {
      const letters = await service.deadLetters.list({ workflow });
      return letters.length > 0 ? letters : undefined;
    });
    expect(letter).toMatchObject({
      reason: 'invalid',
      code: 'CAUSE_TOO_DEEP',
      message: 'The chain of causes of this run is 7 long; the limit is 6',
    });
  };

  it('made of chains is stopped at maxCauseDepth, with a dead letter', async () => {
    await service.get(RunService).run('Ping', 'Circles', {}, 'u');
    await tooDeep('Pong');
    expect([count('Ping'), count('Pong')]).toEqual([4, 3]);
  });

  it('made of runs that start runs is stopped, too', async () => {
    await service.get(RunService).run('Recursive', 'Circles', {}, 'u');
    await tooDeep('Recursive');
    expect(seen.filter(({ name }) => name === 'Recursive').map(({ ctx }) => ctx.causeDepth)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    const ids = seen.filter(({ name }) => name === 'Recursive').map(({ ctx }) => ctx);
    expect(ids.slice(1).map(({ headers }) => headers[HEADER.CAUSE])).toEqual(ids.slice(0, -1).map(({ runId }) => runId));
    expect(new Set(ids.map(({ correlationId }) => correlationId))).toEqual(new Set([ids[0]?.runId]));
  });

  it('made of events is stopped where the events carry their cause', async () => {
    await rig.emit('echo', {});
    await tooDeep('Echo');
    expect(count('Echo')).toBe(7);
  });

  it('made of failures is stopped, too', async () => {
    await service.get(RunService).run('Stumble', 'Circles', {}, 'u');
    const letters = await until('all letters', async () => {
      const found = await service.deadLetters.list({ workflow: 'Stumble' });
      return found.length >= 8 ? found : undefined;
    });
    expect(letters.map(({ code }) => code)).toEqual([...(Array(7).fill('HANDLER_FAILED') as string[]), 'CAUSE_TOO_DEEP']);
    expect(count('Stumble')).toBe(7);
  });

  it('is not seen outside of runs', () => {
    expect(currentCauseHeaders()).toBeUndefined();
  });
});

describe('a method with @OnRun', () => {
  const heard: { readonly where: string; readonly run: RunNotice }[] = [];
  const rig = Rig.use('all');
  let shop: Service;

  class Receipt {
    total!: number;
  }
  @Workflow({ retry: { attempts: 1 } })
  class Checkout {
    run({ total }: { total: number }): Receipt {
      if (total < 0) throw new Error('negative');
      return { total };
    }
  }
  @Workspace({ workflows: [Checkout] })
  class Shop {}

  @Injectable()
  class Loyalty {
    @OnRun(Checkout, 'succeeded')
    points(run: RunNotice<Receipt, 'succeeded'>): void {
      heard.push({ where: `points ${run.result.total}`, run });
    }

    @OnRun<Receipt>('Checkout', ['succeeded', 'failed'], { workspace: 'Shop', delivery: 'live' })
    show(run: RunNotice<Receipt>): void {
      heard.push({ where: `show ${run.type}`, run });
    }

    @OnRun('Checkout', 'failed', { name: 'regret', retry: { attempts: 3, delay: '10ms' } })
    async regret(run: RunNotice): Promise<void> {
      heard.push({ where: 'regret', run });
      await new Promise((resolve) => setImmediate(resolve));
      heard.push({ where: `cause ${currentCauseHeaders()?.[HEADER.CAUSE] === run.runId}`, run });
      throw new Error('nobody listens');
    }
  }

  beforeAll(async () => {
    shop = await rig.service({ providers: [Shop, Checkout] });
  });

  const count = (where: string): number => heard.filter((entry) => entry.where === where).length;

  it('is called in a service that is no worker, once for all its replicas, with the typed result', async () => {
    const [one, two] = await Promise.all([
      rig.service({ name: 'loyalty', providers: [Loyalty], worker: false }),
      rig.service({ name: 'loyalty', providers: [Loyalty], worker: false }),
    ]);
    await Promise.all(Array.from({ length: 20 }, (_, total) => shop.get(RunService).run(Checkout, Shop, { total }, `u${total}`)));
    await until(
      'all are heard',
      () => heard.filter(({ where }) => where.startsWith('points')).length >= 20 && count('show succeeded') >= 40,
    );
    const users = heard.filter(({ where }) => where.startsWith('points')).map(({ run }) => run.userId);
    expect(users).toHaveLength(20);
    expect(new Set(users)).toEqual(new Set(Array.from({ length: 20 }, (_, i) => `u${i}`)));
    await Promise.all([rig.stop(one), rig.stop(two)]);
  });

  it('hears later what came while no replica ran, if it is durable, and not if it is live', async () => {
    heard.length = 0;
    const run = await shop.get(RunService).run(Checkout, Shop, { total: 99 }, 'late');
    await run.result();
    const service = await rig.service({ name: 'loyalty', providers: [Loyalty], worker: false });
    await until('it is heard', () => count('points 99') === 1);
    expect(count('show succeeded')).toBe(0);
    await rig.stop(service);
  });

  it('is called again when it fails, a few times, and then an alarm says so', async () => {
    heard.length = 0;
    const service = await rig.service({ name: 'loyalty', providers: [Loyalty], worker: false });
    await shop.get(RunService).run(Checkout, Shop, { total: -1 }, 'u');
    await until('the alarm', async () => (await service.health())['loopstack']?.status === 'down');
    expect((await service.health())['loopstack']).toMatchObject({
      problems: [expect.stringMatching(/@OnRun regret: .* was given up: regret failed: Error: nobody listens/)],
    });
    expect([count('regret'), count('cause true')]).toEqual([3, 3]);
    const info = await until('it is settled', async () => {
      const found = await rig.consumer('LOOPSTACK_EVENTS', 'loopstack~run~loyalty~regret');
      return found.num_ack_pending === 0 ? found : undefined;
    });
    expect(info.num_pending).toBe(0);
  });

  it('needs a name of the service to be durable, or the boot stops', async () => {
    await expect(rig.service({ providers: [Loyalty], worker: false })).rejects.toMatchObject({
      code: 'BOOT_FAILED',
      message: expect.stringContaining('LoopstackModule.forRoot({ service })'),
    });
  });
});

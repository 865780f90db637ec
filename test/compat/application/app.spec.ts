import { Test } from '@nestjs/testing';
import type { INestApplication } from '@nestjs/common';
import { RunService } from '@loopstack/core';
import { JetStreamServer } from '@loopstack/nats';
import { LoopstackTestingModule } from '@loopstack/testing';
import { AppModule, Labels, OrdersWorkspace, ShipOrder } from './app.module.js';

describe('the shop', () => {
  let app: INestApplication;

  beforeAll(async () => {
    const module = await Test.createTestingModule({ imports: [AppModule] }).compile();
    app = module.createNestApplication();
    app.connectMicroservice({ strategy: app.get(JetStreamServer) });
    await app.startAllMicroservices();
    await app.init();
  }, 30_000);
  afterAll(() => app.close());

  it('ships an order', async () => {
    const run = await app.get(RunService).run(ShipOrder, OrdersWorkspace, { address: { city: 'Graz' } }, 'u1');
    expect(await run.result({ timeout: '20s' })).toBe('shipped to Graz for u1');
  }, 30_000);

  it('refuses an address without a city', async () => {
    const refused = app.get(RunService).run(ShipOrder, OrdersWorkspace, { address: {} as { city: string } }, 'u1');
    await expect(refused).rejects.toMatchObject({ code: 'PAYLOAD_INVALID', errors: [{ path: 'address.city' }] });
  });
});

describe('the shop on a broker in memory', () => {
  it('ships an order', async () => {
    const providers = [Labels, ShipOrder, OrdersWorkspace];
    const module = await Test.createTestingModule({ imports: [LoopstackTestingModule.forRoot()], providers }).compile();
    await module.init();
    const run = await module.get(RunService).run(ShipOrder, OrdersWorkspace, { address: { city: 'Graz' } }, 'u1');
    expect(await run.result()).toBe('shipped to Graz for u1');
    await module.close();
  });
});

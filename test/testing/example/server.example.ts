import { expect } from '@jest/globals';
import { LoopstackModule, RunService } from '@loopstack/core';
import { JetStreamServer, NatsModule } from '@loopstack/nats';
import { startNatsServer, type NatsServer } from '@loopstack/nats-server';
import type { INestMicroservice } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { Orders, Payments, ProcessOrder, SendReceipt } from './orders.js';

describe('an order on a real server', () => {
  let server: NatsServer;
  let app: INestMicroservice;

  beforeAll(async () => {
    server = await startNatsServer();
    const module = await Test.createTestingModule({
      imports: [LoopstackModule.forRoot(), NatsModule.forRoot({ servers: server.url })],
      providers: [ProcessOrder, SendReceipt, Orders, Payments],
    }).compile();
    app = module.createNestMicroservice({ strategy: module.get(JetStreamServer) });
    await app.listen();
  });
  afterAll(async () => {
    await app?.close();
    await server?.stop();
  });

  it('is processed', async () => {
    const runs = app.get(RunService);
    const result = await runs.runAndWait(ProcessOrder, Orders, { orderId: 'o-1', amount: 5 }, 'u1');
    expect(result).toEqual({ receipt: 'charged 5', attempt: 1 });
  });
});

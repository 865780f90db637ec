import { LoopstackModule } from '@loopstack/core';
import { DeadLetters, JetStreamServer, NATS_CONNECTION, NatsModule } from '@loopstack/nats';
import { startNatsServer } from '@loopstack/nats-server';
import { Test } from '@nestjs/testing';
import { headers as newHeaders, type NatsConnection } from 'nats';
import { LOOPSTACK, PROVIDERS } from './application.js';
import { brokerContract } from './suite.js';

brokerContract('JetStream', async () => {
  const server = await startNatsServer();
  const module = await Test.createTestingModule({
    imports: [LoopstackModule.forRoot(LOOPSTACK), NatsModule.forRoot({ servers: server.url, inbound: true, shutdownGrace: '1s' })],
    providers: PROVIDERS,
  }).compile();
  const app = module.createNestMicroservice({ strategy: module.get(JetStreamServer) });
  await app.listen();
  const nc = module.get<NatsConnection>(NATS_CONNECTION);
  return {
    get: (type) => module.get(type),
    deadLetters: module.get(DeadLetters),
    now: () => new Date(),
    pass: () => Promise.resolve(),
    publish: async (subject, body, given = {}) => {
      const headers = newHeaders();
      for (const [name, value] of Object.entries(given)) headers.set(name, value);
      const data = typeof body === 'string' ? body : JSON.stringify(body);
      await nc.jetstream().publish(subject, Buffer.from(data), { headers });
    },
    close: async () => {
      await app.close();
      await server.stop();
    },
  };
});

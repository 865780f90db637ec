import { LoopstackModule, RunService, Workflow, Workspace } from '@loopstack/core';
import { JetStreamServer, NatsModule } from '@loopstack/nats';
import { Module, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ClientNats, ClientsModule, Transport } from '@nestjs/microservices';
import type { NatsConnection } from '@nats-io/transport-node';
import { harness } from '../rig/harness.js';

@Workflow()
class Greet {
  run({ name }: { name: string }): string {
    return `hello ${name}`;
  }
}

@Workspace({ workflows: [Greet] })
class Hall {}

const CLIENT = Symbol('client');

describe('the connection of Nest’s own NATS transport', () => {
  const rig = harness();
  beforeAll(async () => {
    await rig.startServer();
  });

  /** The application's client, whose connection Loopstack is given. */
  function application(...workflows: readonly (new () => object)[]): new () => object {
    const clients = ClientsModule.register([{ name: CLIENT, transport: Transport.NATS, options: { servers: rig.url } }]);
    @Module({
      imports: [
        LoopstackModule.forRoot(),
        NatsModule.forRootAsync({
          imports: [clients],
          inject: [CLIENT],
          useFactory: async (client: ClientNats) => {
            await client.connect();
            return { connection: client.unwrap<NatsConnection>() };
          },
        }),
      ],
      providers: [...workflows],
    })
    class App {}
    return App;
  }

  it('serves a worker and a producer', async () => {
    const quiet = { logger: ['fatal' as const], abortOnError: false };
    const worker = await NestFactory.create(application(Greet, Hall), quiet);
    worker.connectMicroservice({ strategy: worker.get(JetStreamServer) });
    await worker.startAllMicroservices();
    await worker.init();
    const producer: INestApplicationContext = await NestFactory.createApplicationContext(application(Greet, Hall), quiet);
    expect(await producer.get(RunService).runAndWait(Greet, Hall, { name: 'Ada' }, 'u1')).toBe('hello Ada');
    const nc = producer.get(JetStreamServer).unwrap<NatsConnection>();
    await producer.close();
    expect(await nc.closed()).toBeUndefined();
    await worker.close();
  });
});

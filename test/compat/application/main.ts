// An application as it is in the wild: a worker beside an HTTP server, or alone, or a producer (ROLE). It runs a workflow, listens to its end and
// to an event, prints what it has seen and ends.
import 'reflect-metadata';
import { Controller, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { EventPattern, Payload } from '@nestjs/microservices';
import { LoopstackModule, RunService, Workflow, Workspace, OnRun, type RunContext } from '@loopstack/core';
import { JetStreamServer, NatsModule } from '@loopstack/nats';
import { Public } from '@loopstack/shared';
import { IsString, ValidateNested } from 'class-validator';
import { Type } from 'class-transformer';

class Address {
  @IsString() city!: string;
}
class ShipPayload {
  @ValidateNested() @Type(() => Address) address!: Address;
}

@Workflow({ payload: ShipPayload })
class ShipOrder {
  async run({ address }: ShipPayload, ctx: RunContext): Promise<string> {
    return `shipped to ${address.city} for ${ctx.userId}`;
  }
}
@Workspace({ workflows: [ShipOrder] })
class OrdersWorkspace {}

const heard: string[] = [];
@Injectable()
class Listener {
  @OnRun(ShipOrder, 'succeeded', { delivery: 'live' })
  done(): void {
    heard.push('on-run');
  }
}
@Controller()
class Events {
  @Public()
  @EventPattern('shop.sold')
  sold(@Payload() data: unknown): void {
    heard.push(`event ${JSON.stringify(data)}`);
  }
}

@Module({
  imports: [
    LoopstackModule.forRoot({ service: 'shop' }),
    NatsModule.forRoot({ servers: process.env['NATS_URL'] as string, inbound: true, prefix: process.env['PREFIX'] as string }),
  ],
  controllers: [Events],
  providers: [ShipOrder, OrdersWorkspace, Listener],
})
class AppModule {}

const until = async (done: () => boolean): Promise<void> => {
  for (let waited = 0; !done() && waited < 20_000; waited += 20) await new Promise((resolve) => setTimeout(resolve, 20));
};

async function bootstrap(): Promise<void> {
  const app = await NestFactory.create(AppModule, { logger: ['error', 'warn', 'fatal'], abortOnError: false });
  if (process.env['ROLE'] !== 'producer') {
    app.connectMicroservice({ strategy: app.get(JetStreamServer) });
    await app.startAllMicroservices();
  }
  await (process.env['ROLE'] === 'worker' ? app.init() : app.listen(0));
  const run = await app.get(RunService).run(ShipOrder, OrdersWorkspace, { address: { city: 'Graz' } }, 'u1');
  if (process.env['ROLE'] === 'producer') console.log(run.workflow);
  else {
    console.log(await run.result({ timeout: '20s' }));
    await app.get(JetStreamServer).unwrap().jetstream().publish('shop.sold', '{"n":1}');
    await until(() => heard.length === 2);
    console.log(heard.sort().join(', '));
  }
  await app.close();
}
bootstrap().catch((error: Error) => {
  console.log(error.stack);
  process.exit(1);
});

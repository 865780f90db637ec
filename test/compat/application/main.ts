// A worker beside an HTTP server (ROLE hybrid), one that runs until it is told to stop (service), a worker alone, or a producer. It prints
// what it has seen.
import { NestFactory } from '@nestjs/core';
import { RunService } from '@loopstack/core';
import { JetStreamServer } from '@loopstack/nats';
import { AppModule, OrdersWorkspace, PackOrder, PackingWorkspace, ShipOrder, heard } from './app.module.js';

const role = process.env['ROLE'] as 'hybrid' | 'service' | 'worker' | 'producer';

const until = async (done: () => boolean): Promise<void> => {
  for (let waited = 0; !done() && waited < 20_000; waited += 20) await new Promise((resolve) => setTimeout(resolve, 20));
};

async function bootstrap(): Promise<void> {
  const app = await NestFactory.create(AppModule, { logger: ['error', 'warn', 'fatal'], abortOnError: false });
  if (role !== 'producer') {
    app.connectMicroservice({ strategy: app.get(JetStreamServer) });
    await app.startAllMicroservices();
  }
  if (role === 'service') app.enableShutdownHooks();
  await (role === 'worker' ? app.init() : app.listen(0));
  const run = await app.get(RunService).run(ShipOrder, OrdersWorkspace, { address: { city: 'Graz' } }, 'u1');
  if (role === 'producer') console.log(run.workflow);
  else {
    console.log(await run.result({ timeout: '20s' }));
    await app.get(JetStreamServer).unwrap().jetstream().publish('shop.sold', '{"n":1}');
    await until(() => heard.length === 2);
    console.log(heard.sort().join(', '));
  }
  if (role === 'service') return;
  if (role !== 'producer') {
    await app.get(RunService).run(PackOrder, PackingWorkspace, {}, 'u1');
    await until(() => heard.length === 3);
  }
  await app.close();
  if (role !== 'producer') console.log(heard.slice(2).join(', '));
}
bootstrap().catch((error: Error) => {
  console.log(error.stack);
  process.exit(1);
});

import { LoopstackClient } from '@loopstack/client';
import { JetStreamServer, NatsModule } from '@loopstack/nats';
import { LoopstackModule, OnRun, Workflow, Workspace } from '@loopstack/core';
import { startNatsServer, type NatsServer } from '@loopstack/nats-server';
import { Injectable, Module, type INestMicroservice } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { connect, type NatsConnection } from 'nats';
import { until } from './until.js';

const RUNS = 20;

/** An application on a connection of its own, that says what it has run and been told of. */
async function create(nc: NatsConnection): Promise<{ app: INestMicroservice; done: string[] }> {
  const done: string[] = [];
  @Workflow()
  class Job {
    run(): void {
      done.push('run');
    }
  }
  @Workspace({ workflows: [Job] })
  class Space {}
  @Injectable()
  class Listener {
    @OnRun('Job', 'succeeded')
    heard(): void {
      done.push('event');
    }
  }
  @Module({
    imports: [LoopstackModule.forRoot({ service: 'listener' }), NatsModule.forRoot({ connection: nc })],
    providers: [Job, Space, Listener],
  })
  class App {}
  const app = await NestFactory.createMicroservice(App, {
    inject: [JetStreamServer],
    useFactory: (server: JetStreamServer) => ({ strategy: server }),
    logger: ['fatal'],
    abortOnError: false,
  });
  return { app, done };
}

describe('an application that is closed while it starts', () => {
  let server: NatsServer;
  let nc: NatsConnection;
  let watch: NatsConnection;

  beforeEach(async () => {
    server = await startNatsServer();
    nc = await connect({ servers: server.url });
    watch = await connect({ servers: server.url });
  });
  afterEach(async () => {
    await Promise.all([nc.close(), watch.close()]);
    await server.stop();
  });

  it.each([
    ['its durables for events are made', '$JS.API.CONSUMER.*.LOOPSTACK_EVENTS.>'],
    ['canceled runs are read', '$JS.API.STREAM.INFO.LOOPSTACK_EVENTS'],
    ['its durable is looked for', '$JS.API.CONSUMER.INFO.LOOPSTACK_RUNS.>'],
  ])('while %s consumes nothing afterwards, and its connection stays open', async (_, subject) => {
    const { app, done } = await create(nc);
    let closed: Promise<void> | undefined;
    watch.subscribe(subject, { callback: () => void (closed ??= app.close()) });
    await watch.flush();
    const outcome = await app.listen().catch((error: Error) => error.message);
    await closed;
    // On a busy machine the close may come late, and is a plain one.
    expect(outcome ?? 'closed').toMatch(/closed/);
    expect(nc.isClosed()).toBe(false);
    const client = new LoopstackClient(nc);
    await client.runMany(Array.from({ length: RUNS }, () => ({ workflow: 'Job', workspace: 'Space', payload: {}, userId: 'u' })));
    const other = await create(nc);
    await other.app.listen();
    const isDone = (what: string) => (): boolean => other.done.filter((one) => one === what).length === RUNS;
    await until('another one has run all', isDone('run'));
    await until('and was told of all', isDone('event'));
    expect(done).toEqual([]);
    await other.app.close();
    await client.close();
  });
});

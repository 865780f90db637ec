import { LoopstackClient } from '@loopstack/client';
import { OnRun, Workflow, Workspace } from '@loopstack/core';
import { Injectable, type INestMicroservice } from '@nestjs/common';
import { type NatsConnection } from 'nats';
import { harness } from './rig/harness.js';
import { appOf, createWorker } from './rig/app.js';
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
  const app = await createWorker(appOf({ connection: nc }, { service: 'listener' }, { providers: [Job, Space, Listener] }));
  return { app, done };
}

describe('an application that is closed while it starts', () => {
  const rig = harness('each');
  let nc: NatsConnection;
  let watch: NatsConnection;

  beforeEach(async () => {
    await rig.startServer();
    nc = await rig.connect();
    watch = await rig.connect();
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
    const client = rig.closeAtEnd(new LoopstackClient(nc));
    await client.runMany(Array.from({ length: RUNS }, () => ({ workflow: 'Job', workspace: 'Space', payload: {}, userId: 'u' })));
    const other = await create(nc);
    rig.closeAtEnd(other.app);
    await other.app.listen();
    const isDone = (what: string) => (): boolean => other.done.filter((one) => one === what).length === RUNS;
    await until('another one has run all', isDone('run'));
    await until('and was told of all', isDone('event'));
    expect(done).toEqual([]);
  });
});

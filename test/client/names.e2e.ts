import { LoopstackClient } from '@loopstack/client';
import { DeadLetters, NatsModule } from '@loopstack/nats';
import { LoopstackModule, RunService, Workflow, Workspace } from '@loopstack/core';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ADDRESS, Rig, codeOf } from './rig.js';

/** What would be another subject, or another line of the protocol. */
const NO_NAMES: readonly string[] = ['*', '>', '', 'a.b', 'x 5', 'x\r\nPING', 'a 991\r\nPUB evil.one 2\r\nhi\r\nSUB b', 'a\tb', 'é'];

describe('what is no name', () => {
  const rig = Rig.use('all');
  let client: LoopstackClient;
  beforeAll(async () => {
    client = rig.client();
    // The run of somebody else, which a wildcard would read.
    const secret = await client.run('ProcessOrder', 'Orders', {}, 'bob');
    await rig.record(secret.id, { type: 'succeeded', result: 'secret' });
  });

  it.each(NO_NAMES)('is refused before anything is sent (%j)', async (bad) => {
    const connection = await rig.connect();
    const asker = new LoopstackClient(connection);
    const heard: string[] = [];
    const spy = rig.nc.subscribe('evil.>', { callback: (_, { subject }) => heard.push(subject) });
    await rig.nc.flush();
    const places = [
      { ...ADDRESS, workspace: bad },
      { ...ADDRESS, workflow: bad },
    ];
    const calls: (() => Promise<unknown>)[] = [
      async () => asker.handle(ADDRESS, bad).result(),
      async () => asker.handle(ADDRESS, bad).events()[Symbol.asyncIterator]().next(),
      () => asker.get(bad),
      () => asker.get(bad, ADDRESS),
      () => asker.cancel(bad),
      () => asker.cancel(bad, ADDRESS),
      () => asker.schedules.get(ADDRESS, bad),
      () => asker.schedules.cancel(ADDRESS, bad),
      ...places.flatMap((place): (() => Promise<unknown>)[] => [
        async () => asker.handle(place, 'x').status(),
        () => asker.get('x', place),
        () => asker.cancel('x', place),
        () => asker.list({ ...place }),
        () => asker.check(place, {}),
        () => asker.schedules.list({ ...place }),
        () => asker.schedules.get(place, 's'),
        () => asker.schedules.cancel(place, 's'),
        () => asker.run(place.workflow, place.workspace, {}, 'u1'),
      ]),
    ];
    const sent = connection.stats().outMsgs;
    for (const call of calls) expect(await codeOf(call())).toBe('NAME_INVALID');
    expect(connection.stats().outMsgs).toBe(sent);
    // The server has not dropped the connection either.
    await connection.flush();
    await rig.nc.flush();
    expect(heard).toEqual([]);
    spy.unsubscribe();
    await asker.close();
  });

  it('is not what other producers may call their runs', async () => {
    await rig.record('of-theirs_1', { type: 'succeeded', result: 7 });
    const run = client.handle<number>(ADDRESS, 'of-theirs_1');
    expect(await run.result()).toBe(7);
    const types: string[] = [];
    for await (const event of run.events()) types.push(event.type);
    expect(types).toEqual(['succeeded']);
  });

  it('is refused by RunService and DeadLetters, too', async () => {
    class W {
      async run(): Promise<void> {}
    }
    Workflow()(W);
    class Ws {}
    Workspace({ workflows: [W] })(Ws);
    class App {}
    Module({ imports: [LoopstackModule.forRoot(), NatsModule.forRoot({ servers: rig.server.url })], providers: [W, Ws] })(App);
    const app = await NestFactory.createApplicationContext(App, { logger: false });
    const [runs, letters] = [app.get(RunService), app.get(DeadLetters)];
    for (const bad of NO_NAMES) {
      expect(await codeOf(runs.get(bad))).toBe('NAME_INVALID');
      expect(await codeOf(runs.cancel(bad))).toBe('NAME_INVALID');
      expect(await codeOf(runs.list({ workspace: bad }))).toBe('NAME_INVALID');
      expect(await codeOf(runs.schedules.list({ workflow: bad }))).toBe('NAME_INVALID');
      expect(await codeOf(letters.list({ workspace: bad }))).toBe('NAME_INVALID');
    }
    await app.close();
  });
});

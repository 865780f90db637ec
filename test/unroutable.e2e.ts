import { Workflow, Workspace } from '@loopstack/core';
import { DeadLetters, LoopstackHealth } from '@loopstack/nats';
import { type NatsServer } from '@loopstack/nats-server';
import type { DeadLetter } from '@loopstack/shared';
import type { INestMicroservice } from '@nestjs/common';
import { headers, type NatsConnection } from 'nats';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { GAGGED } from './rig/accounts.js';
import { harness } from './rig/harness.js';
import { until } from './until.js';

@Workflow()
class Job {
  run(): void {
    /* Not called. */
  }
}

@Workspace({ workflows: [Job] })
class Ops {}

const as = (user: string): { user: string; pass: string } => ({ user, pass: user });

/** Commands on subjects that no workflow has: between looks for them lie five seconds. */
describe('a stray command', () => {
  const rig = harness('each');
  let server: NatsServer;
  let nc: NatsConnection;

  beforeEach(async () => {
    server = await rig.startServer({ config: GAGGED });
    nc = await rig.connect({ ...as('admin') });
  });

  const start = (user: string): Promise<INestMicroservice> => rig.startApp([Job, Ops], { connect: as(user) });
  const letters = (app: INestMicroservice): Promise<readonly DeadLetter[]> => app.get(DeadLetters).list({ workspace: 'invalid' });
  const left = async (): Promise<readonly string[]> => {
    const jsm = await nc.jetstreamManager();
    return Object.keys((await jsm.streams.info('LOOPSTACK_RUNS', { subjects_filter: '>' })).state.subjects ?? {});
  };
  const problems = async (app: INestMicroservice): Promise<string> => JSON.stringify(await app.get(LoopstackHealth).ready());

  it('is buried also after the stream was made anew, where it has the sequence of one before', async () => {
    const app = await start('admin');
    const sent = async (text: string): Promise<number> => (await nc.jetstream().publish('loopstack.run.Ops.Zürich', text)).seq;
    expect(await sent('first')).toBe(1);
    await until('the first one is buried', async () => (await letters(app)).length === 1);
    await (await nc.jetstreamManager()).streams.delete('LOOPSTACK_RUNS');
    expect(await until('the stream is there again', () => sent('second').catch(() => undefined), 30_000)).toBe(1);
    await until('the second one is taken out', async () => (await left()).length === 0);
    expect((await letters(app)).map(({ body }) => Buffer.from(body as Uint8Array).toString())).toEqual(['first', 'second']);
  });

  it('keeps no other from being buried, however large it is and whatever headers it has; none is lost', async () => {
    const limit = nc.info?.max_payload as number;
    const large = 'x'.repeat(limit - 100);
    const large64 = headers();
    large64.set('X-Large', 'x'.repeat(64 * 1024 - 300));
    const app = await start('admin');
    const js = nc.jetstream();
    await js.publish('loopstack.run.Ops.größe', large);
    await js.publish('loopstack.run.Ops.größe', 'with large headers', { headers: large64 });
    const socket = connectTcp(server.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write('CONNECT {"verbose":false,"pedantic":false,"headers":true,"protocol":1,"user":"admin","pass":"admin"}\r\n');
    const blocks = [': empty', 'X Y: a space', 'Größe: beyond ASCII', 'X: a\rbare return', 'no colon', 'X-Order: 42'];
    for (const line of blocks) {
      const head = Buffer.from(`NATS/1.0\r\n${line}\r\n\r\n`);
      // Without a body, too: that is the end of a batch.
      for (const body of ['', line]) {
        const bytes = Buffer.from(body);
        socket.write(
          Buffer.concat([Buffer.from(`HPUB loopstack.run.Ops.ä ${head.length} ${head.length + bytes.length}\r\n`), head, bytes]),
        );
        socket.write('\r\n');
      }
    }
    await js.publish('loopstack.run.Ops.Zürich', 'small');
    await until('all are stored', async () => (await left()).length > 0);
    const found = await until(
      'all are buried',
      async () => {
        const list = await letters(app);
        return list.length === 3 + 2 * blocks.length ? list : undefined;
      },
      40_000,
    );
    socket.destroy();
    expect(found.filter(({ body }) => body === undefined).map(({ subject }) => subject)).toEqual([
      'loopstack.run.Ops.größe',
      'loopstack.run.Ops.größe',
    ]);
    // What the letters point to stays; the rest is taken out.
    await until('the others are taken out', async () => (await left()).join() === 'loopstack.run.Ops.größe');
    const [pointer] = found.filter(({ body }) => body === undefined) as [DeadLetter];
    expect(Buffer.from((await app.get(DeadLetters).inspect(pointer.deadSequence)).body).equals(Buffer.from(large))).toBe(true);
    expect(found.map(({ body }) => body && Buffer.from(body).toString())).toEqual(expect.arrayContaining([...blocks, 'small']));
    expect(await problems(app)).toContain('"up"');
  });

  it('that cannot be dead-lettered stays, with an alarm in readiness, until it can', async () => {
    const gagged = await start('gagged');
    await nc.jetstream().publish('loopstack.run.Ops.Zürich', '{}');
    await until('readiness tells of it', async () => /cannot be dead-lettered: 1: .*may not publish/.test(await problems(gagged)));
    expect(await left()).toEqual(['loopstack.run.Ops.Zürich']);
    await start('admin');
    await until('it is buried', async () => (await left()).length === 0);
    await until('readiness is well again', async () => /"status":"up"/.test(await problems(gagged)));
  });
});

import { LoopstackClient } from '@loopstack/client';
import { DeadLetters } from '@loopstack/nats';
import { Workflow, Workspace, type RunContext } from '@loopstack/core';
import { keyedRunId } from '@loopstack/shared';
import type { INestMicroservice } from '@nestjs/common';
import { headers, type NatsConnection } from 'nats';
import { harness } from './rig/harness.js';
import { until } from './until.js';

const ran: string[] = [];

@Workflow()
class Job {
  run({ echo }: { echo?: string }, { workspace, userId }: RunContext): string {
    ran.push(`${workspace} ${userId}`);
    return echo ?? userId;
  }
}
@Workspace({ workflows: [Job] })
class Orders {}
@Workspace({ workflows: [Job] })
class Payments {}

const PAYMENTS = { workspace: 'Payments', workflow: 'Job' };

describe('relayed answers in one account', () => {
  const rig = harness();
  let worker: INestMicroservice;
  let nc: NatsConnection;
  let client: LoopstackClient;
  let own: string;

  beforeAll(async () => {
    await rig.startServer();
    worker = await rig.startApp([Job, Orders, Payments]);
    nc = await rig.connect();
    client = rig.closeAtEnd(new LoopstackClient(nc));
    const run = await client.run('Job', 'Orders', { echo: 'forged' }, 'mallory');
    await run.result({ timeout: '20s' });
    own = run.id;
  });

  const ownEvent = (): string => `$JS.API.DIRECT.GET.LOOPSTACK_EVENTS.loopstack.event.Orders.Job.${own}`;
  const lastOn = async (stream: string, subject: string): Promise<number | undefined> =>
    (await (await nc.jetstreamManager()).streams.getMessage(stream, { last_by_subj: subject }).catch(() => undefined))?.seq;
  const untrusted = (sequence: number): Promise<unknown> =>
    until('a dead letter that is not trusted', async () =>
      (await worker.get(DeadLetters).list({ reason: 'untrusted', limit: 1000 })).find((letter) => letter.sequence === sequence),
    );

  it('a relayed answer is no event of a run', async () => {
    const key = 'invoice-7';
    const victim = keyedRunId('Payments', 'Job', key);
    const subject = `loopstack.event.Payments.Job.${victim}`;
    nc.publish(ownEvent(), '', { reply: subject });
    await until('the answer is stored', () => lastOn('LOOPSTACK_EVENTS', subject));
    await expect(client.get(victim, PAYMENTS)).rejects.toMatchObject({ code: 'RUN_UNKNOWN' });
    const run = await client.run('Job', 'Payments', { echo: 'genuine' }, 'u1', { idempotencyKey: key });
    expect(await run.result({ timeout: '20s' })).toBe('genuine');
    expect(await client.get(victim, PAYMENTS)).toMatchObject({ status: 'succeeded', result: 'genuine' });
  });

  it.each([
    ['an acknowledgement', () => nc.publish('loopstack.run.Orders.Job', '{"userId":"mallory"}', { reply: 'loopstack.run.Payments.Job' })],
    ['an answer of the API', () => nc.publish('$JS.API.INFO', '', { reply: 'loopstack.run.Payments.Job' })],
    ['who asks', () => nc.publish('$SYS.REQ.USER.INFO', '', { reply: 'loopstack.run.Payments.Job' })],
    [
      'one among due commands',
      () => nc.publish('loopstack.run.Orders.Job', '{"userId":"mallory"}', { reply: 'loopstack.due.Payments.Job' }),
    ],
  ])('a relayed answer is no command: %s', async (_, send) => {
    const before = (await lastOn('LOOPSTACK_RUNS', 'loopstack.run.Payments.Job')) ?? 0;
    send();
    const sequence = await until('the answer is stored', async () => {
      const last = (await lastOn('LOOPSTACK_RUNS', 'loopstack.run.Payments.Job')) ?? 0;
      return last > before ? last : undefined;
    });
    await untrusted(sequence);
    expect(ran).not.toContain('Payments mallory');
  });

  it.each([
    ['Nats-Stream', { 'Nats-Stream': 'LOOPSTACK_EVENTS' }],
    ['Nats-Sequence', { 'Nats-Sequence': '1' }],
  ])('a readable relayed answer with %s does not run', async (_, fields) => {
    const marked = headers();
    for (const [name, value] of Object.entries(fields)) marked.set(name, value);
    const { seq } = await nc.jetstream().publish('loopstack.run.Payments.Job', '{"userId":"mallory"}', { headers: marked });
    await untrusted(seq);
    expect(ran).not.toContain('Payments mallory');
  });

  it('a due command of a foreign schedule does not run', async () => {
    const at = headers();
    at.set('Nats-Schedule', `@at ${new Date(Date.now() + 200).toISOString()}`);
    at.set('Nats-Schedule-Target', 'loopstack.due.Payments.Job');
    for (const send of [
      () => nc.jetstream().publish('loopstack.schedule.Orders.Job.s1', '{"userId":"mallory"}', { headers: at }),
      () => nc.jetstream().publish('loopstack.due.Payments.Job', '{"userId":"mallory"}'),
    ]) {
      const before = (await lastOn('LOOPSTACK_RUNS', 'loopstack.run.Payments.Job')) ?? 0;
      await send();
      const sequence = await until('it is due', async () => {
        const last = (await lastOn('LOOPSTACK_RUNS', 'loopstack.run.Payments.Job')) ?? 0;
        return last > before ? last : undefined;
      });
      await untrusted(sequence);
    }
    expect(ran).not.toContain('Payments mallory');
    const late = await client.run('Job', 'Payments', { echo: 'late' }, 'u1', { delay: '1s' });
    expect(await late.result({ timeout: '20s' })).toBe('late');
  });
});

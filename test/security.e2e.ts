import { LoopstackClient, commandSigner } from '@loopstack/client';
import { DeadLetters } from '@loopstack/nats';
import { RunService, Workflow, Workspace, type RunContext } from '@loopstack/core';
import { HEADER } from '@loopstack/shared';
import type { INestMicroservice } from '@nestjs/common';
import { readFile } from 'node:fs/promises';
import { headers, nkeys, type MsgHdrs, type NatsConnection } from 'nats';
import { harness } from './rig/harness.js';
import { until } from './until.js';

const ran: string[] = [];

@Workflow()
class Process {
  run({ id }: { id: string }, { userId }: RunContext): string {
    ran.push(id);
    return userId;
  }
}

@Workspace({ workflows: [Process] })
class Orders {}

@Workspace({ workflows: [Process] })
class Payments {}

const seedOf = (): { seed: string; nkey: string } => {
  const pair = nkeys.createUser();
  return { seed: new TextDecoder().decode(pair.getSeed()), nkey: pair.getPublicKey() };
};

describe('permissions of docs/security.md', () => {
  const rig = harness();
  let nc: NatsConnection;
  let client: LoopstackClient;

  beforeAll(async () => {
    const page = await readFile(new URL('../docs/security.md', import.meta.url), 'utf8');
    const [, snippet = ''] = /```conf\n([\s\S]*?)```/.exec(page) ?? [];
    await rig.startServer({ config: snippet.replace('$WORKER_PASSWORD', 'w').replace('$ORDERS_PASSWORD', 'o') });
    await rig.startApp([Process, Orders, Payments], { connect: { user: 'worker', pass: 'w' } });
    nc = await rig.connect({ user: 'orders', pass: 'o', inboxPrefix: '_INBOX_orders' });
    client = rig.closeAtEnd(new LoopstackClient(nc, { publishTimeout: '500ms', requestTimeout: '500ms' }));
  });

  it('let a producer start a run of its workspace, and read its result', async () => {
    const run = await client.run<string>('Process', 'Orders', { id: 'allowed' }, 'u1');
    expect(await run.result({ timeout: '10s' })).toBe('u1');
  });

  it('refuse it another workspace: the publish fails, and nothing runs', async () => {
    await expect(client.run('Process', 'Payments', { id: 'refused' }, 'u1')).rejects.toMatchObject({
      code: expect.stringMatching(/^PUBLISH_/),
    });
    expect(ran).not.toContain('refused');
  });

  it.each([
    ['forging an outcome', 'loopstack.event.Orders.Process.r1', '{"type":"succeeded","at":"x","attempt":1}'],
    ['forging a dead letter', 'loopstack.dead.Orders.Process', '{}'],
    ['canceling', 'loopstack.cancel.Orders.Process.r1', ''],
    ['purging the queue', '$JS.API.STREAM.PURGE.LOOPSTACK_RUNS', ''],
    ['reading other runs', '$JS.API.DIRECT.GET.LOOPSTACK_RUNS', '{"seq":1}'],
  ])('refuse it %s', async (_, subject, body) => {
    await expect(nc.request(subject, body, { timeout: 500 })).rejects.toThrow();
  });
});

describe('a workspace that demands signatures', () => {
  const ours = seedOf();
  const strangers = seedOf();
  const rig = harness();
  let worker: INestMicroservice;
  let nc: NatsConnection;
  let client: LoopstackClient;
  let dead: DeadLetters;

  beforeAll(async () => {
    await rig.startServer();
    const sign = commandSigner(ours.seed);
    worker = await rig.startApp([Process, Orders, Payments], { sign }, { trust: { Payments: { signers: [ours.nkey] } } });
    dead = worker.get(DeadLetters);
    nc = await rig.connect();
    client = rig.closeAtEnd(new LoopstackClient(nc, { sign }));
  });

  /** A signed command as it stands in the stream, to be tampered with. */
  const captured = async (id: string): Promise<{ subject: string; data: Uint8Array; hdrs: MsgHdrs }> => {
    const run = await client.run('Process', 'Payments', { id }, 'u1');
    await run.result();
    const stored = await (await nc.jetstreamManager()).streams.getMessage('LOOPSTACK_RUNS', { seq: run.sequence });
    return { subject: stored.subject, data: stored.data, hdrs: stored.header };
  };
  const send = async (subject: string, data: Uint8Array | string, hdrs: MsgHdrs): Promise<number> =>
    (await nc.jetstream().publish(subject, data, { headers: hdrs })).seq;
  const refused = (sequence: number): Promise<unknown> =>
    until('an untrusted dead letter', async () =>
      (await dead.list({ reason: 'untrusted', limit: 1000 })).find((letter) => letter.sequence === sequence),
    );

  it('runs what is signed by a key that it trusts, from a client and from RunService', async () => {
    expect(await (await client.run('Process', 'Payments', { id: 'signed' }, 'u1')).result()).toBe('u1');
    expect(await (await worker.get(RunService).run(Process, Payments, { id: 'nest' }, 'u2')).result()).toBe('u2');
  });

  it('runs what is signed and delayed', async () => {
    const run = await client.run('Process', 'Payments', { id: 'delayed' }, 'u1', { delay: '1s' });
    expect(await run.result()).toBe('u1');
  });

  it('leaves other workspaces as they are', async () => {
    const plain = new LoopstackClient(nc);
    expect(await (await plain.run('Process', 'Orders', { id: 'plain' }, 'u1')).result()).toBe('u1');
    await plain.close();
  });

  it('refuses what is not signed, and what a stranger signed', async () => {
    const { seq } = await nc.jetstream().publish('loopstack.run.Payments.Process', '{"userId":"u1","payload":{"id":"unsigned"}}');
    const stranger = new LoopstackClient(nc, { sign: commandSigner(strangers.seed) });
    const run = await stranger.run('Process', 'Payments', { id: 'stranger' }, 'u1');
    await Promise.all([refused(seq), refused(run.sequence)]);
    expect(ran).not.toContain('unsigned');
    expect(ran).not.toContain('stranger');
    await stranger.close();
  });

  it('refuses a command whose body, user or workspace was changed, and an expiry that was stretched', async () => {
    const { subject, data, hdrs } = await captured('genuine');
    const copy = (): MsgHdrs => {
      const made = headers();
      for (const [name, values] of hdrs) for (const value of values) made.set(name, value);
      made.delete(HEADER.MSG_ID);
      return made;
    };
    const forged = await send(subject, '{"userId":"admin","payload":{"id":"forged"}}', copy());
    const stretched = copy();
    stretched.set(HEADER.SIGNED_UNTIL, new Date(Date.now() + 90_000).toISOString());
    const later = await send(subject, data, stretched);
    await Promise.all([refused(forged), refused(later)]);
    expect(ran).not.toContain('forged');
  });

  it('does not run a captured command again: with its message id the server drops it, without it the outcome stands', async () => {
    const { subject, data, hdrs } = await captured('once');
    const again = await nc.jetstream().publish(subject, data, { headers: hdrs });
    expect(again.duplicate).toBe(true);
    const stripped = headers();
    for (const [name, values] of hdrs) if (name !== HEADER.MSG_ID) for (const value of values) stripped.set(name, value);
    await send(subject, data, stripped);
    await (await client.run('Process', 'Payments', { id: 'after' }, 'u1')).result();
    expect(ran.filter((id) => id === 'once')).toHaveLength(1);
  });

  it('runs an untrusted command when somebody who is trusted redrives it', async () => {
    const { seq } = await nc.jetstream().publish('loopstack.run.Payments.Process', '{"userId":"u1","payload":{"id":"redriven"}}');
    await refused(seq);
    const [letter] = (await dead.list({ reason: 'untrusted', limit: 1000 })).filter(({ sequence }) => sequence === seq);
    await dead.redrive(letter?.deadSequence as number);
    await until('it has run', () => ran.includes('redriven'));
  });
});

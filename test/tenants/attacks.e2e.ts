import { LoopstackClient } from '@loopstack/client';
import { Workflow, Workspace } from '@loopstack/core';
import { startNatsServer } from '@loopstack/nats-server';
import type { INestMicroservice } from '@nestjs/common';
import { connect, type JetStreamManager, type NatsConnection } from 'nats';
import { startApp } from '../rig/app.js';
import { until } from '../until.js';
import { ATTACKS, reach, readings, targets, type Attack, type Attacker, type Victim } from './attacks.js';
import { byConfiguration, byOperator, type Deploy, type Deployment } from './deployment.js';

const SECRET = 'the secret of Payments';
const TENANTS = [
  { name: 'orders', workspaces: ['Orders'], allow: [] },
  { name: 'payments', workspaces: ['Payments'], allow: [] },
  { name: 'stock', workspaces: ['Stock'], allow: ['lanes', 'cancel', 'catalogue'] },
] as const;

/** What ran, as `<workspace> <user>`. */
let ran: string[] = [];
let release: () => void = () => undefined;
let holds = false;

@Workflow()
class Job {
  run({ echo }: { echo?: string }, { workspace, userId }: { workspace: string; userId: string }): string {
    ran.push(`${workspace} ${userId}`);
    return echo ?? userId;
  }
}

@Workflow()
class Hold {
  run(): Promise<string> {
    holds = true;
    return new Promise((resolve) => (release = () => resolve('held to its end')));
  }
}

@Workspace({ workflows: [Job] })
class Orders {}
@Workspace({ workflows: [Job, Hold] })
class Payments {}
@Workspace({ workflows: [Job] })
class Stock {}

/** Worker, an operator who sees everything, and the two tenants of the attacks. */
class Scene {
  victim!: Victim;
  attacker!: Attacker;

  private constructor(
    readonly worker: INestMicroservice,
    readonly operator: NatsConnection,
    readonly jsm: JetStreamManager,
    readonly orders: LoopstackClient,
    readonly payments: LoopstackClient,
    private readonly connections: readonly NatsConnection[],
  ) {}

  static async open({ server, worker, operator, tenant }: Deployment, attacker = 'orders', workspace = 'Orders'): Promise<Scene> {
    ran = [];
    holds = false;
    const app = await startApp([Job, Hold, Orders, Payments, Stock], { servers: server.url, ...worker });
    const [nc, ours, theirs] = await Promise.all([connect(operator), connect(tenant(attacker)), connect(tenant('payments'))]);
    const [orders, payments] = [new LoopstackClient(ours), new LoopstackClient(theirs)];
    const scene = new Scene(app, nc, await nc.jetstreamManager(), orders, payments, [nc, ours, theirs]);
    const [own, ended] = [
      await orders.run('Job', workspace, { echo: 'forged' }, 'u1'),
      await payments.run('Job', 'Payments', { echo: SECRET }, 'u1'),
    ];
    expect(await own.result({ timeout: '20s' })).toBe('forged');
    expect(await ended.result({ timeout: '20s' })).toBe(SECRET);
    const held = await payments.run('Hold', 'Payments', {}, 'u1');
    await until('a worker holds the run', () => holds);
    await until('the catalogue has the workflow', () => scene.world(workspace).catch(() => undefined));
    scene.victim = { ended: ended.id, held: held.id, heldSequence: held.sequence };
    scene.attacker = { nc: ours, own: own.id, workspace };
    return scene;
  }

  /** All that an attacker of one workspace has no business with: streams, durables, and the messages of other workspaces. */
  async world(own: string): Promise<unknown> {
    const streams = await this.jsm.streams.list().next();
    const told = streams.map(async ({ config: { name, subjects } }) => {
      const { state, created } = await this.jsm.streams.info(name, { subjects_filter: '>' });
      const others = Object.entries(state.subjects ?? {}).filter(
        ([subject]) => !subject.includes(`.${own}.`) && !subject.startsWith('$KV.LOOPSTACK_CATALOGUE.'),
      );
      const consumers = await this.jsm.consumers.list(name).next();
      return {
        name,
        subjects,
        created,
        // An empty stream begins at 0, and then at its first message.
        first: Math.max(1, state.first_seq),
        others: Object.fromEntries(others),
        // What its own runs move is its own.
        consumers: consumers.map(({ name: durable, config, num_ack_pending }) => ({
          durable,
          config,
          pending: durable.startsWith(own) || num_ack_pending,
        })),
      };
    });
    // Workers write theirs when they like.
    const entry = await this.jsm.streams.getMessage('KV_LOOPSTACK_CATALOGUE', { last_by_subj: '$KV.LOOPSTACK_CATALOGUE.Payments.Job' });
    const all = (await Promise.all(told)).toSorted((a, b) => a.name.localeCompare(b.name));
    return { all, entry: entry.string() };
  }

  /** A run of the attacker that begins after what it sent, and so ends after it: whatever was to come has come. */
  async afterwards(workspace: string): Promise<void> {
    await this.attacker.nc.flush();
    const run = await this.orders.run('Job', workspace, {}, 'afterwards');
    expect(await run.result({ timeout: '20s' })).toBe('afterwards');
    await this.operator.flush();
  }

  async attack(attack: Attack, workspace = 'Orders'): Promise<{ before: unknown; after: unknown }> {
    const before = await this.world(workspace);
    await attack(this.attacker, this.victim);
    await this.afterwards(workspace);
    return { before, after: await this.world(workspace) };
  }

  async close(): Promise<void> {
    release();
    await Promise.all([this.orders.close(), this.payments.close()]);
    await Promise.all(this.connections.map((nc) => nc.close()));
    await this.worker.close();
  }
}

const NOBODY: Victim = { ended: '', held: '', heldSequence: 0 };
const FORMS: readonly (readonly [string, Deploy])[] = [
  ['configuration files', byConfiguration],
  ['operator mode', byOperator],
];

describe.each(FORMS)('a tenant of one workspace, by %s', (_, deploy) => {
  let deployment: Deployment;
  let scene: Scene;

  beforeAll(async () => {
    deployment = await deploy(TENANTS);
    scene = await Scene.open(deployment);
  });

  afterAll(async () => {
    await scene?.close();
    await deployment?.stop();
  });

  it.each(Object.keys(targets(NOBODY)))('a tenant reaches nothing by publishing to %s', async (target) => {
    const { before, after } = await scene.attack(reach(targets(scene.victim)[target] as string));
    expect(after).toEqual(before);
  });

  it.each(Object.keys(ATTACKS))('a tenant changes nothing of others by %s', async (name) => {
    const { before, after } = await scene.attack(ATTACKS[name] as Attack);
    expect(after).toEqual(before);
  });

  it.each(Object.keys(readings(NOBODY)))('a tenant learns nothing by asking for %s', async (name) => {
    const [subject, body] = readings(scene.victim)[name] as [string, string];
    const answer = await scene.attacker.nc.request(subject, body, { timeout: 2000 }).catch(() => undefined);
    // Nobody answers, or its own account does: that it has no JetStream, or that the request is no request.
    expect(answer?.string() ?? '').not.toContain(SECRET);
    expect(answer?.string() ?? '').not.toContain('LOOPSTACK_');
    expect(answer?.headers?.get('Nats-Subject') ?? '').not.toContain('Payments');
  });

  it('a tenant hears only events of its workspace', async () => {
    const heard: string[] = [];
    const subscriptions = ['>', '$JS.>', '_INBOX.>', 'loopstack.>', 'loopstack.event.Payments.>', 'loopstack.run.*.*', '*.event.>'].map(
      (subject) =>
        scene.attacker.nc.subscribe(subject, {
          callback: (_error, { subject: on, data }) => heard.push(`${on} ${Buffer.from(data).toString()}`),
        }),
    );
    await scene.attacker.nc.flush();
    await (await scene.payments.run('Job', 'Payments', { echo: SECRET }, 'u1')).result({ timeout: '20s' });
    await scene.afterwards('Orders');
    await until('its own event is heard', () => heard.some((line) => line.startsWith('loopstack.event.Orders.Job.')));
    for (const subscription of subscriptions) subscription.unsubscribe();
    expect(heard.filter((line) => line.includes('Payments') || line.includes(SECRET))).toEqual([]);
  });

  it('attacks leave the runs of all tenants working', async () => {
    expect(new Set(ran.filter((line) => line.startsWith('Payments')))).toEqual(new Set(['Payments u1']));
    const keyed = await scene.payments.run('Job', 'Payments', { echo: 'genuine' }, 'u1', { idempotencyKey: '0123456789' });
    expect(await keyed.result({ timeout: '20s' })).toBe('genuine');
    release();
    const { victim, payments } = scene;
    const held = payments.handle({ workspace: 'Payments', workflow: 'Hold' }, victim.held);
    expect(await held.result({ timeout: '20s' })).toBe('held to its end');
  });
});

describe.each(FORMS)('a tenant with JetStream of its own and further rights, by %s', (_, deploy) => {
  let deployment: Deployment;
  let scene: Scene;

  beforeAll(async () => {
    deployment = await deploy(TENANTS, { withJetStream: ['stock'] });
    scene = await Scene.open(deployment, 'stock', 'Stock');
  });

  afterAll(async () => {
    await scene?.close();
    await deployment?.stop();
  });

  it.each(Object.keys(targets(NOBODY)))('a tenant reaches nothing by publishing to %s', async (target) => {
    const { before, after } = await scene.attack(reach(targets(scene.victim)[target] as string), 'Stock');
    expect(after).toEqual(before);
  });

  it.each(Object.keys(ATTACKS))('a tenant changes nothing of others by %s', async (name) => {
    const { before, after } = await scene.attack(ATTACKS[name] as Attack, 'Stock');
    expect(after).toEqual(before);
  });
});

describe('producers in the account of the workers', () => {
  const config = `accounts { APP { jetstream: enabled, users: [
    { user: worker, password: w }
    { user: payments, password: p }
    { user: orders, password: o, permissions: {
      publish: { allow: ["loopstack.run.Orders.*", "$JS.API.DIRECT.GET.LOOPSTACK_EVENTS.loopstack.event.Orders.>"] }
      subscribe: { allow: ["_INBOX_orders.>", "loopstack.event.Orders.>"] }
    } }
  ] } }`;
  let scene: Scene;
  let stop: () => Promise<void>;

  beforeAll(async () => {
    const server = await startNatsServer({ config });
    stop = () => server.stop();
    scene = await Scene.open({
      server,
      worker: { connect: { user: 'worker', pass: 'w' } },
      operator: { servers: server.url, user: 'worker', pass: 'w' },
      tenant: (name) => ({
        servers: server.url,
        user: name,
        pass: name.slice(0, 1),
        inboxPrefix: `_INBOX${name === 'orders' ? '_orders' : ''}`,
      }),
      stop,
    });
  });

  afterAll(async () => {
    await scene?.close();
    await stop?.();
  });

  // What docs/security.md says in its first lines: if one of these fails, the server has become stricter.
  it.each(['a stream, purged', 'a command', 'a dead letter'])('producers in one account reach %s despite permissions', async (target) => {
    const { before, after } = await scene.attack(reach(targets(scene.victim)[target] as string));
    expect(after).not.toEqual(before);
  });
});

import type { BindingInfo } from '../deployment/bindings.js';
import type { Queue } from '../deployment/deployment.js';
import { diagnose } from './diagnose.js';
import type { Finding } from './finding.js';
import type { Facts } from './facts.js';

const NOW = Date.parse('2026-01-31T12:00:00Z');

const HEALTHY: Facts = {
  server: { name: 'n1', version: '2.15.1', cluster: undefined, jetstream: true, maxPayload: 1024 * 1024, roundTripMs: 1 },
  user: { name: 'ada', account: 'A', permissions: undefined },
  clockSkew: { aheadMs: 3, errorMs: 1 },
  sync: 'always',
  jetStreamError: undefined,
  streams: [],
  queues: [],
  unserved: { top: [], names: 0, commands: 0 },
  shared: [],
  bindings: [],
  storageError: undefined,
  dead: { letters: 0, newest: undefined },
  prefix: 'loopstack',
  nowMs: NOW,
};

const queue = (fields: Partial<Queue>): Queue =>
  ({
    workspace: 'W',
    workflow: 'F',
    lane: undefined,
    durable: 'W~F',
    pending: 0,
    active: 0,
    redelivered: 0,
    pulls: 1,
    paused: false,
    ...fields,
  }) as Queue;

function found(facts: Partial<Facts>, check: string): Finding[] {
  return diagnose({ ...HEALTHY, ...facts }).filter((finding) => finding.check === check || finding.check.startsWith(`${check} `));
}

it('has a remedy for everything that is not well', () => {
  const sick: Facts = {
    ...HEALTHY,
    server: { ...HEALTHY.server, version: '2.13.0', roundTripMs: 500 },
    user: undefined,
    clockSkew: { aheadMs: 5000, errorMs: 1 },
    sync: { everyMs: 120_000 },
    streams: [{ name: 'S', info: undefined, drift: [] }],
    queues: [queue({ pending: 3, pulls: 0 })],
    storageError: 'Stream S stores nothing',
    dead: { letters: 2, newest: new Date(NOW).toISOString() },
  };
  for (const { status, fix } of diagnose(sick)) if (status !== 'ok') expect(fix).toMatch(/\.$/);
  expect(
    diagnose(sick)
      .filter(({ status }) => status === 'ok')
      .map(({ check }) => check),
  ).toEqual(['jetstream']);
});

it.each([
  [undefined, 'unknown', 'did not tell', 'Allow this user to publish to $SYS.REQ.USER.INFO'],
  [{ aheadMs: 900, errorMs: 0 }, 'ok', 'differ by 900 ms', undefined],
  [{ aheadMs: -3000, errorMs: 2500 }, 'ok', 'differ by 3.0 s', undefined],
  [{ aheadMs: 3_600_000, errorMs: 2 }, 'warning', '1 h 0 min behind the server', 'Keep clocks with NTP.'],
  [{ aheadMs: -3_600_000, errorMs: 2 }, 'warning', '1 h 0 min ahead of the server', 'Keep clocks with NTP.'],
])('a clock that differs by %j is %s', (clockSkew, status, message, fix) => {
  const [finding] = found({ clockSkew }, 'clock');
  expect(finding).toMatchObject({ status, message: expect.stringContaining(message) });
  expect(finding?.fix ?? '').toContain(fix ?? '');
});

it('says nothing but its version of a server that is too old', () => {
  const findings = diagnose({ ...HEALTHY, server: { ...HEALTHY.server, version: '2.9.10' }, jetStreamError: 'no answer', streams: [] });
  expect(findings.map(({ check, status }) => [check, status])).toEqual([
    ['connection', 'ok'],
    ['version', 'problem'],
  ]);
});

it.each([
  ['2.11.9', 'problem'],
  ['2.12.0', 'warning'],
  ['2.14.0-RC.1', 'ok'],
  ['3.0.0', 'ok'],
])('nats-server %s is %s', (version, status) => {
  expect(found({ server: { ...HEALTHY.server, version } }, 'version')).toMatchObject([{ status }]);
});

it('tells a queue that nobody works on from one that is stuck, busy, or paused', () => {
  const at = (msAgo: number): string => new Date(NOW - msAgo).toISOString();
  expect(found({ queues: [queue({ pending: 5, pulls: 0 })] }, 'queue')).toMatchObject([
    { status: 'problem', message: expect.stringContaining('no worker takes them') },
  ]);
  expect(found({ queues: [queue({ pending: 5, active: 2, lastDelivery: at(600_000) })] }, 'queue')).toMatchObject([
    { status: 'problem', message: expect.stringContaining('nothing has moved 10 min 0 s ago') },
  ]);
  expect(found({ queues: [queue({ pending: 5, active: 2, lastDelivery: at(1000) })] }, 'queue')).toEqual([]);
  const pausedUntil = '2026-02-01T00:00:00Z';
  expect(found({ queues: [queue({ pending: 0, paused: true, pausedUntil })] }, 'queue')).toMatchObject([
    {
      status: 'warning',
      message: 'paused until 2026-02-01T00:00:00Z, 0 commands waiting',
      fix: 'To let it go on, on all its queues: `loopstack workflows resume W.F`.',
    },
  ]);
  expect(found({ queues: [queue({ pending: 0, pulls: 0 })] }, 'queue')).toEqual([]);
});

it('names a binding whose events nobody takes, or that somebody has paused', () => {
  const binding = { durable: 'loopstack~on~W~F~x', stream: 'SHOP', pending: 2, unsettled: 0, consumed: false } as BindingInfo;
  expect(found({ bindings: [binding] }, 'binding')).toMatchObject([
    { check: 'binding loopstack~on~W~F~x', status: 'problem', message: '2 events of SHOP waiting and no process consumes it' },
  ]);
  expect(found({ bindings: [{ ...binding, pausedUntil: '2026-02-01T00:00:00Z' }] }, 'binding')).toMatchObject([
    { status: 'warning', fix: 'To let it go on: nats consumer resume SHOP loopstack~on~W~F~x.' },
  ]);
  const held = { ...binding, unsettled: 64 };
  expect(found({ bindings: [{ ...held, pending: 0, lastActive: new Date(NOW - 3 * 60_000).toISOString() }] }, 'binding')).toMatchObject([
    { status: 'problem', message: '0 events of SHOP waiting, 64 held, and nothing has moved 3 min 0 s ago' },
  ]);
  const well = [
    { ...binding, consumed: true },
    { ...held, lastActive: new Date(NOW - 1000).toISOString() },
    { ...binding, pending: 0 },
  ];
  expect(found({ bindings: well }, 'binding')).toEqual([]);
  expect(found({ bindings: well }, 'bindings')).toMatchObject([{ status: 'ok', message: '3 bindings, 4 events waiting' }]);
  expect(found({ bindings: undefined }, 'bindings')).toMatchObject([{ status: 'unknown' }]);
});

it('names workflows that commands wait for and that no worker has ever served', () => {
  expect(
    found({ unserved: { top: [{ workspace: 'Orders', workflow: 'ProcesOrder', commands: 3 }], names: 1, commands: 3 } }, 'queue'),
  ).toMatchObject([{ check: 'queue Orders.ProcesOrder', status: 'problem', message: expect.stringContaining('3 commands waiting') }]);
});

it('names what a limited user may not do', () => {
  const permissions = { publish: { allow: ['loopstack.run.Orders.*', '$JS.API.STREAM.INFO.>'] }, subscribe: { allow: ['_INBOX.>'] } };
  const [finding] = found({ user: { name: 'p', account: 'A', permissions } }, 'permissions');
  expect(finding).toMatchObject({ status: 'warning', message: expect.stringContaining('start runs, read streams, consume runs') });
  const denied = { publish: { deny: ['loopstack.replay.>'] }, subscribe: {} };
  expect(found({ user: { name: 'p', account: 'A', permissions: denied } }, 'permissions')).toMatchObject([
    { message: 'this user may not replay' },
  ]);
});

it('judges rights by the JetStream domain', () => {
  const publish = { allow: ['loopstack.>', '$JS.hub.API.>', '$JS.ACK.>', '$KV.>'] };
  const user = { name: 'p', account: 'A', permissions: { publish, subscribe: {} } };
  expect(found({ user, domain: 'hub' }, 'permissions')).toMatchObject([{ status: 'ok' }]);
  expect(found({ user }, 'permissions')).toMatchObject([{ message: 'this user may not read streams, consume runs, provision' }]);
});

it('names the JetStream domain where commands of NATS need it', () => {
  const binding = { durable: 'd', stream: 'SHOP', pending: 2, unsettled: 0, consumed: false, pausedUntil: 'x' } as BindingInfo;
  expect(found({ domain: 'hub', bindings: [binding] }, 'binding')[0]?.fix).toContain('nats --js-domain hub consumer resume SHOP d');
  expect(found({ domain: 'hub', bindings: undefined }, 'bindings')[0]?.fix).toContain('$JS.hub.API.STREAM.NAMES');
});

it('sees a stream that differs, and one that is nearly full', () => {
  const info = { config: { max_bytes: 100 }, state: { messages: 1, bytes: 90 } } as never;
  expect(found({ streams: [{ name: 'S', info, drift: [{ field: 'discard', actual: 'old', desired: 'new' }] }] }, 'stream')).toMatchObject([
    { status: 'problem', message: 'discard is "old", needed is "new"' },
    { status: 'warning', message: '90 % of its bytes are used' },
  ]);
});

it('says nothing of streams and queues where JetStream does not answer', () => {
  const checks = diagnose({ ...HEALTHY, jetStreamError: 'no answer' }).map(({ check }) => check);
  expect(checks).toEqual(['connection', 'version', 'topology', 'jetstream', 'permissions', 'durability', 'clock']);
});

it('tells of releases side by side that take different payloads', () => {
  const one = (workflow: string, releases: readonly string[] = []) => ({ workspace: 'W', workflow, contracts: ['a', 'b'], releases });
  expect(found({ shared: [] }, 'releases')).toEqual([]);
  expect(found({ shared: [one('F', ['1.0', '1.1'])] }, 'releases')).toMatchObject([
    { status: 'warning', message: expect.stringContaining('W.F (2 contracts of 1.0 and 1.1)'), fix: expect.stringMatching(/\.$/) },
  ]);
  const many = Array.from({ length: 8 }, (_, i) => one(`F${i}`));
  expect(found({ shared: many }, 'releases')[0]?.message).toMatch(/W\.F4 \(2 contracts\), and 3 other workflows$/);
});

describe('tells which topology it sees', () => {
  const user = { name: 'ada', account: 'A', permissions: undefined };
  it.each<[string, Partial<Facts>, string, RegExp]>([
    ['the account of the workers', { user, border: { exports: ['loopstack.run.*.*'], imports: [] } }, 'ok', /^tenants have accounts/],
    [
      'the account of a tenant',
      { user, border: { exports: [], imports: ['loopstack.run.Orders.*', 'loopstack.run.Shop.*'] } },
      'ok',
      /runs of Orders, Shop$/,
    ],
    ['one account, by monitoring', { user, border: { exports: [], imports: [] } }, 'ok', /^one account for all/],
    ['a server without accounts', { user: { ...user, account: '$G' } }, 'ok', /^one account for all/],
    ['an account, and no monitoring', { user }, 'unknown', /not seen from within account A/],
    ['an account without JetStream', { user, jetStreamError: 'JetStream not enabled for account' }, 'unknown', /a tenant's account, or/],
  ])('%s', (_, facts, status, message) => {
    expect(found(facts, 'topology')).toEqual([expect.objectContaining({ status, message: expect.stringMatching(message) })]);
  });

  it('and finds no fault with the missing JetStream of a tenant', () => {
    const border = { exports: [], imports: ['loopstack.run.Orders.*'] };
    expect(found({ user, border, jetStreamError: 'JetStream not enabled for account' }, 'jetstream')[0]?.status).toBe('ok');
  });
});

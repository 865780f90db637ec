import { headers, type MsgHdrs, type NatsConnection, type Subscription } from 'nats';

/** Runs of the workspace Payments, which the attacker has nothing to do with. */
export interface Victim {
  /** A run that has ended, its result a secret. */
  readonly ended: string;
  /** A run that a worker holds, and the command's sequence. */
  readonly held: string;
  readonly heldSequence: number;
}

export interface Attacker {
  readonly nc: NatsConnection;
  /** The workspace that it may start the runs of. */
  readonly workspace: string;
  /** A run of its own that has ended; its result is what it likes. */
  readonly own: string;
}

/** A raw client's work; what it is answered does not count, what it has changed does. */
export type Attack = (attacker: Attacker, victim: Victim) => void | Promise<void>;

const hdrs = (fields: Readonly<Record<string, string>>): MsgHdrs => {
  const made = headers();
  for (const [name, value] of Object.entries(fields)) made.set(name, value);
  return made;
};
const COMMAND = '{"userId":"mallory","payload":{}}';
const OUTCOME = '{"type":"succeeded","at":"2026-01-01T00:00:00.000Z","attempt":1,"result":"forged"}';
const soon = (): string => `@at ${new Date(Date.now() + 50).toISOString()}`;

/** What would do harm if a message came there. */
export const targets = ({ ended, held, heldSequence }: Victim): Readonly<Record<string, string>> => ({
  'a stream, deleted': '$JS.API.STREAM.DELETE.LOOPSTACK_EVENTS',
  'a stream, purged': '$JS.API.STREAM.PURGE.LOOPSTACK_RUNS',
  'a durable, deleted': '$JS.API.CONSUMER.DELETE.LOOPSTACK_RUNS.Payments~Job',
  'a pull of commands': '$JS.API.CONSUMER.MSG.NEXT.LOOPSTACK_RUNS.Payments~Job',
  'a leader that steps down': '$JS.API.STREAM.LEADER.STEPDOWN.LOOPSTACK_RUNS',
  'the API of a domain': '$JS.hub.API.STREAM.DELETE.LOOPSTACK_EVENTS',
  'an acknowledgement': `$JS.ACK.LOOPSTACK_RUNS.Payments~Hold.1.${heldSequence}.1.${Date.now()}000000.0`,
  'a command': 'loopstack.run.Payments.Job',
  'a lane': 'loopstack.lane.high.Payments.Job',
  'an event of a run that has none': 'loopstack.event.Payments.Job.k-0123456789',
  'an event of a run that goes on': `loopstack.event.Payments.Hold.${held}`,
  'a cancel': `loopstack.cancel.Payments.Hold.${held}`,
  'a schedule': 'loopstack.schedule.Payments.Job.s1',
  'a due command': 'loopstack.due.Payments.Job',
  'a dead letter': 'loopstack.dead.Payments.Job',
  'the mark of a replay': 'loopstack.replay.r1',
  'a redrive of an event': 'loopstack.redrive.d1',
  'the catalogue': '$KV.LOOPSTACK_CATALOGUE.Payments.Job',
  'the state of a replay': '$KV.LOOPSTACK_REPLAYS.r1',
  'an event that ended long ago': `loopstack.event.Payments.Job.${ended}`,
});

/** Each message that somebody answers, with the answer sent on to `target`; and the message itself, there. */
export function reach(target: string): Attack {
  return ({ nc, own, workspace }) => {
    const read = (runId: string): string => `$JS.API.DIRECT.GET.LOOPSTACK_EVENTS.loopstack.event.${workspace}.Job.${runId}`;
    const run = `loopstack.run.${workspace}.Job`;
    for (const [subject, body] of [
      [run, COMMAND],
      [run, 'no command'],
      [read('none'), ''],
      [read(own), ''],
      [read(own), '{"no":"body"}'],
      ['$SYS.REQ.USER.INFO', ''],
      ['$SYS.REQ.ACCOUNT.PING.CONNZ', ''],
      ['$JS.API.INFO', ''],
      [`loopstack.event.${workspace}.Job.own`, OUTCOME],
      [`loopstack.cancel.${workspace}.Job.own`, ''],
    ] as const) {
      nc.publish(subject, body, { reply: target });
      nc.publish(subject, body, { reply: target, headers: hdrs({ 'Nats-Trace-Dest': target }) });
    }
    for (const body of ['', COMMAND, OUTCOME]) nc.publish(target, body);
    nc.publish(target, COMMAND, {
      headers: hdrs({ 'Nats-Schedule': soon(), 'Nats-Schedule-Target': 'loopstack.due.Payments.Job', 'Nats-Rollup': 'all' }),
    });
  };
}

const consumer = (config: object): string => JSON.stringify({ stream_name: 'LOOPSTACK_EVENTS', config, action: '' });

/** What no reply subject is needed for. */
export const ATTACKS: Readonly<Record<string, Attack>> = {
  'headers that act, on commands of its own': ({ nc, workspace }) => {
    for (const fields of [
      { 'Nats-Schedule': soon(), 'Nats-Schedule-Target': 'loopstack.run.Payments.Job' },
      { 'Nats-Schedule': soon(), 'Nats-Schedule-Target': 'loopstack.due.Payments.Job' },
      { 'Nats-Rollup': 'all' },
      { 'Nats-Rollup': 'sub' },
      { 'Nats-TTL': '1s' },
      { 'Nats-Expected-Stream': 'LOOPSTACK_EVENTS' },
      { 'Nats-Trace-Dest': 'loopstack.run.Payments.Job' },
      { 'Nats-Trace-Dest': 'loopstack.dead.Payments.Job', 'Nats-Trace-Only': 'true' },
      { 'Nats-Response-Type': 'x', 'Nats-Subject': 'loopstack.run.Payments.Job', 'Nats-Stream': 'LOOPSTACK_RUNS' },
      { 'Nats-Scheduler': 'loopstack.schedule.Payments.Job.s1', 'Nats-Stream-Source': 'LOOPSTACK_SCHEDULES 1' },
      { 'Nats-Request-Info': '{"acc":"LOOPSTACK"}' },
    ])
      nc.publish(`loopstack.run.${workspace}.Job`, COMMAND, { headers: hdrs(fields) });
  },
  'subjects with wildcards in them': ({ nc }) => {
    for (const subject of [
      'loopstack.run.*.Job',
      'loopstack.run.*.*',
      'loopstack.run.>',
      'loopstack.run.Orders.>',
      'loopstack.>',
      'loopstack.run.Orders.Job.Payments',
      'loopstack.run.Orders',
      '>',
    ])
      nc.publish(subject, COMMAND);
  },
  'consumers on the streams, pulled or pushed to a subject': ({ nc, workspace }) => {
    const filter = `loopstack.event.${workspace}.>`;
    const pushed = { durable_name: 'spy', deliver_subject: 'loopstack.run.Payments.Job', deliver_policy: 'all', ack_policy: 'none' };
    nc.publish('$JS.API.CONSUMER.CREATE.LOOPSTACK_EVENTS', consumer(pushed));
    nc.publish('$JS.API.CONSUMER.DURABLE.CREATE.LOOPSTACK_EVENTS.spy', consumer(pushed));
    nc.publish(`$JS.API.CONSUMER.CREATE.LOOPSTACK_EVENTS.spy.${filter}`, consumer({ ...pushed, name: 'spy', filter_subject: filter }));
    nc.publish('$JS.API.CONSUMER.CREATE.LOOPSTACK_RUNS.spy', consumer({ name: 'spy', ack_policy: 'none' }));
  },
  'streams that capture, mirror or republish': ({ nc }) => {
    for (const [name, config] of Object.entries({
      LOOPSTACK_RUNS: { subjects: ['loopstack.run.*.*'] },
      OWN: { subjects: ['loopstack.run.Payments.*'] },
      MIRROR: { mirror: { name: 'LOOPSTACK_RUNS' } },
      SOURCE: { sources: [{ name: 'LOOPSTACK_EVENTS', external: { api: '$JS.LOOPSTACK.API', deliver: 'loopstack.run.Payments' } }] },
      FAR: { mirror: { name: 'LOOPSTACK_RUNS', external: { api: '$JS.hub.API', deliver: '_INBOX.x' } } },
      AGAIN: { subjects: ['again.*'], republish: { src: 'again.*', dest: 'loopstack.run.Payments.{{wildcard(1)}}' } },
    })) {
      nc.publish(`$JS.API.STREAM.CREATE.${name}`, JSON.stringify({ name, storage: 'memory', ...config }));
      nc.publish(`$JS.API.STREAM.UPDATE.${name}`, JSON.stringify({ name, storage: 'memory', ...config }));
    }
    nc.publish('again.Job', COMMAND);
    for (const verb of ['DELETE', 'PURGE', 'MSG.DELETE']) nc.publish(`$JS.API.STREAM.${verb}.LOOPSTACK_DEAD`, '{"seq":1}');
  },
  'groups of subscribers that would take messages from others': async ({ nc, workspace }) => {
    const groups: Subscription[] = [];
    for (const queue of ['_sys_', 'loopstack', 'LOOPSTACK_EVENTS', 'workers']) {
      for (const subject of ['loopstack.event.>', 'loopstack.run.>', 'loopstack.cancel.>', '$JS.API.>', '$JS.ACK.>', '>'])
        groups.push(nc.subscribe(subject, { queue, callback: () => undefined }));
    }
    await nc.flush();
    // Its events are stored all the same, and heard by whoever else listens: the run that follows has a result.
    nc.publish(`loopstack.run.${workspace}.Job`, COMMAND);
    await nc.flush();
    for (const group of groups) group.unsubscribe();
  },
  'batches that are left open': ({ nc }) => {
    const fields = { 'Nats-Batch-Id': 'b1', 'Nats-Batch-Sequence': '1' };
    for (const subject of ['loopstack.run.Payments.Job', 'loopstack.event.Payments.Job.b1'])
      nc.publish(subject, COMMAND, { headers: hdrs(fields) });
  },
};

/** Questions whose answer would tell something of others. */
export const readings = ({ ended, heldSequence }: Victim): Readonly<Record<string, readonly [subject: string, body: string]>> => ({
  'the result of a run': [`$JS.API.DIRECT.GET.LOOPSTACK_EVENTS.loopstack.event.Payments.Job.${ended}`, ''],
  'the last event of all runs': ['$JS.API.DIRECT.GET.LOOPSTACK_EVENTS.loopstack.event.>', ''],
  'the last event of any workspace': ['$JS.API.DIRECT.GET.LOOPSTACK_EVENTS.loopstack.event.*.*.*', ''],
  'an event by its sequence': ['$JS.API.DIRECT.GET.LOOPSTACK_EVENTS', '{"seq":1}'],
  'an event that the body names': [
    '$JS.API.DIRECT.GET.LOOPSTACK_EVENTS.loopstack.event.Orders.Job.x',
    `{"last_by_subj":"loopstack.event.Payments.Job.${ended}"}`,
  ],
  'many events': ['$JS.API.DIRECT.GET.LOOPSTACK_EVENTS', '{"multi_last":["loopstack.event.>"],"batch":10}'],
  'an event, asked of the leader': ['$JS.API.STREAM.MSG.GET.LOOPSTACK_EVENTS', '{"seq":1}'],
  'a command': ['$JS.API.DIRECT.GET.LOOPSTACK_RUNS', `{"seq":${heldSequence}}`],
  'the last command': ['$JS.API.DIRECT.GET.LOOPSTACK_RUNS.loopstack.run.Payments.Job', ''],
  'a dead letter': ['$JS.API.DIRECT.GET.LOOPSTACK_DEAD', '{"seq":1}'],
  'the catalogue': ['$JS.API.DIRECT.GET.KV_LOOPSTACK_CATALOGUE.$KV.LOOPSTACK_CATALOGUE.Payments.Job', ''],
  'the streams': ['$JS.API.STREAM.INFO.LOOPSTACK_RUNS', ''],
  'a snapshot': ['$JS.API.STREAM.SNAPSHOT.LOOPSTACK_EVENTS', '{"deliver_subject":"loot"}'],
});

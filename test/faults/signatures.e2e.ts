import { commandSigner } from '@loopstack/client';
import { headerBlock } from '@loopstack/jetstream';
import { DeadLetters } from '@loopstack/nats';
import { NonRetryableError, Workflow, Workspace, type RunContext } from '@loopstack/core';
import { HEADER, newRunId, type Headers, headerLines } from '@loopstack/shared';
import type { INestMicroservice } from '@nestjs/common';
import { createInbox, nkeys, type JetStreamManager, type MsgHdrs, type NatsConnection } from 'nats';
import { harness } from '../rig/harness.js';
import { readEvents } from '../rig/measure.js';
import { until } from '../until.js';
import { unsettledOf } from '../unsettled.js';

interface Job {
  readonly id: string;
  readonly fails?: boolean;
}

interface Done {
  readonly id: string;
  readonly runId: string;
  readonly userId: string;
  readonly note: string | undefined;
  readonly workflow: string;
}

const done: Done[] = [];
/** Jobs that wait, and what lets them go on. */
const gates = new Map<string, Promise<void>>();

function close(id: string): () => void {
  let open: () => void = () => undefined;
  gates.set(id, new Promise((resolve) => (open = resolve)));
  return open;
}

async function work({ id, fails }: Job, { runId, userId, headers, workflow }: RunContext): Promise<string> {
  done.push({ id, runId, userId, note: headers['X-Note'], workflow });
  await gates.get(id);
  if (fails) throw new NonRetryableError('as it was told to');
  return id;
}

@Workflow({ concurrency: 32 })
class Process {
  run(job: Job, context: RunContext): Promise<string> {
    return work(job, context);
  }
}

@Workflow({ concurrency: 32 })
class Other {
  run(job: Job, context: RunContext): Promise<string> {
    return work(job, context);
  }
}

@Workspace({ workflows: [Process, Other] })
class Payments {}

@Workspace({ workflows: [Process] })
class Refunds {}

/** A message, byte by byte. */
interface Command {
  readonly subject: string;
  readonly block: string;
  readonly data: Buffer;
}

const seedOf = (): { readonly seed: string; readonly nkey: string } => {
  const pair = nkeys.createUser();
  return { seed: new TextDecoder().decode(pair.getSeed()), nkey: pair.getPublicKey() };
};
const ours = seedOf();
const strangers = seedOf();
const SUBJECT = 'loopstack.run.Payments.Process';
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const unused = '1'.repeat(86);

/** What a genuine producer sends. */
function genuine(id: string, runId = newRunId(), more: Headers = {}, job: Partial<Job> = {}): Command & { readonly runId: string } {
  const headers = {
    [HEADER.MSG_ID]: `Payments.Process:${runId}`,
    [HEADER.RUN_ID]: runId,
    [HEADER.EXPIRES_AT]: new Date(Date.now() + 3_600_000).toISOString(),
    [HEADER.TRACEPARENT]: TRACE,
    'X-Note': 'genuine',
    ...more,
  };
  const data = Buffer.from(JSON.stringify({ userId: 'u1', payload: { id, ...job } }));
  const signed = commandSigner(ours.seed)({ subject: SUBJECT, headers, data });
  return { subject: SUBJECT, block: blockOf({ ...headers, ...signed }), data, runId };
}

const blockOf = (headers: Headers): string => Buffer.from(headerBlock(headerLines(headers))).toString();

type Change = (command: Command & { readonly runId: string }) => Command;

const block =
  (change: (text: string) => string): Change =>
  (command) => ({ ...command, block: change(command.block) });
const body =
  (change: (text: string) => string | Buffer): Change =>
  (command) => ({ ...command, data: Buffer.from(change(command.data.toString())) });
const added = (line: string): Change => block((text) => text.replace(/\r\n$/, `${line}\r\n\r\n`));
const removed = (name: string): Change => block((text) => text.replace(new RegExp(`^${name}:.*\r\n`, 'm'), ''));
const renamed = (name: string, to: string): Change => block((text) => text.replace(`${name}:`, `${to}:`));
/** The whole line becomes another. */
const value = (name: string, change: (old: string) => string): Change =>
  block((text) => text.replace(new RegExp(`^${name}: (.*)\r\n`, 'm'), (_, old: string) => `${name}: ${change(old)}\r\n`));
const doubled = (name: string, to?: string): Change =>
  block((text) => text.replace(new RegExp(`^${name}: .*\r\n`, 'm'), (line) => line + (to === undefined ? line : `${name}: ${to}\r\n`)));
const all =
  (...changes: readonly Change[]): Change =>
  (command) => ({ ...command, ...changes.reduce<Command>((made, change) => change({ ...command, ...made }), command) });
const subject =
  (to: string): Change =>
  (command) => ({ ...command, subject: to });

/** Copies that mean the same: a worker takes them for what they are copies of. */
const SAME: readonly (readonly [string, Change])[] = [
  ['no byte changed', (command) => command],
  ['its lines in another order', block((text) => `NATS/1.0\r\n${text.split('\r\n').slice(1, -2).reverse().join('\r\n')}\r\n\r\n`)],
  ['no space behind colons', block((text) => text.replaceAll(': ', ':'))],
  ['another trace', value(HEADER.TRACEPARENT, () => '00-00000000000000000000000000000001-0000000000000001-00')],
  ['no trace', removed(HEADER.TRACEPARENT)],
  ['a trace state', added(`${HEADER.TRACESTATE}: evil=1`)],
];

const later = new Date(Date.now() + 90_000).toISOString();

/** Copies that a worker does not take for genuine. */
const CHANGED: readonly (readonly [string, Change])[] = [
  // The message id, by which the server would drop the copy.
  ['no message id', removed(HEADER.MSG_ID)],
  ['a space behind the message id', value(HEADER.MSG_ID, (id) => `${id} `)],
  ['a tab behind the message id', value(HEADER.MSG_ID, (id) => `${id}\t`)],
  ['a no-break space behind the message id', value(HEADER.MSG_ID, (id) => `${id}\u00a0`)],
  ['a byte order mark behind the message id', value(HEADER.MSG_ID, (id) => `${id}\ufeff`)],
  ['another space before the message id', value(HEADER.MSG_ID, (id) => ` ${id}`)],
  ['a tab before the message id', value(HEADER.MSG_ID, (id) => `\t${id}`)],
  ['a no-break space before the message id', value(HEADER.MSG_ID, (id) => `\u00a0${id}`)],
  ['another message id', value(HEADER.MSG_ID, (id) => `${id}2`)],
  ['an empty message id', value(HEADER.MSG_ID, () => '')],
  ['the message id twice', doubled(HEADER.MSG_ID)],
  ['another message id behind the first', doubled(HEADER.MSG_ID, 'Payments.Process:other')],
  ['another message id before the first', block((text) => text.replace('\r\n', '\r\nNats-Msg-Id: Payments.Process:first\r\n'))],
  ['a message id in lower case', renamed(HEADER.MSG_ID, 'nats-msg-id')],
  ['a message id in upper case', renamed(HEADER.MSG_ID, 'NATS-MSG-ID')],
  ['a space before the colon of the message id', renamed(HEADER.MSG_ID, 'Nats-Msg-Id ')],
  ['a message id beside it in lower case', added('nats-msg-id: Payments.Process:other')],
  // The run id, by which copies are one run.
  ['no run id', removed(HEADER.RUN_ID)],
  ['another run id', value(HEADER.RUN_ID, () => newRunId())],
  ['a run id that is no name', value(HEADER.RUN_ID, () => 'a.b')],
  ['an empty run id', value(HEADER.RUN_ID, () => '')],
  ['another run id before the first', block((text) => text.replace('\r\n', `\r\nLoopstack-Run-Id: ${newRunId()}\r\n`))],
  ['another run id behind the first', doubled(HEADER.RUN_ID, newRunId())],
  ['a blank behind the run id', value(HEADER.RUN_ID, (id) => `${id} `)],
  ['a run id in lower case', renamed(HEADER.RUN_ID, 'loopstack-run-id')],
  ['neither id', all(removed(HEADER.RUN_ID), removed(HEADER.MSG_ID))],
  // The signature.
  ['a later expiry', value(HEADER.SIGNED_UNTIL, () => later)],
  ['no expiry', removed(HEADER.SIGNED_UNTIL)],
  ['the same expiry written otherwise', value(HEADER.SIGNED_UNTIL, (time) => time.replace('Z', '000Z'))],
  ['a beginning', added(`${HEADER.SIGNED_FROM}: ${new Date(0).toISOString()}`)],
  ['a beginning, and no message id', all(removed(HEADER.MSG_ID), added(`${HEADER.SIGNED_FROM}: ${new Date(0).toISOString()}`))],
  ['another signer', value(HEADER.SIGNER, () => strangers.nkey)],
  ['no signer', removed(HEADER.SIGNER)],
  ['no signature', removed(HEADER.SIGNATURE)],
  ['another signature', value(HEADER.SIGNATURE, () => `2.${unused}`)],
  ['the signature of version 1', value(HEADER.SIGNATURE, (text) => text.slice(2))],
  ['padding behind the signature', value(HEADER.SIGNATURE, (text) => `${text}==`)],
  ['the signature twice', doubled(HEADER.SIGNATURE)],
  ['another signature before the first', block((text) => text.replace('\r\n', `\r\nLoopstack-Signature: 2.${unused}\r\n`))],
  ['the signature in lower case', renamed(HEADER.SIGNATURE, 'loopstack-signature')],
  // Headers that change what happens to a run.
  ['a deadline in the past', value(HEADER.EXPIRES_AT, () => '2020-01-01T00:00:00.000Z')],
  ['no deadline', removed(HEADER.EXPIRES_AT)],
  ['a deadline that is no time', value(HEADER.EXPIRES_AT, () => 'soon')],
  ['a chain that is too deep', added(`${HEADER.CAUSE_DEPTH}: 999`)],
  ['a cause', added(`${HEADER.CAUSE}: somebody`)],
  ['a correlation', added(`${HEADER.CORRELATION_ID}: somebody`)],
  ['the mark of a redrive', added(`${HEADER.REDRIVEN}: 1`)],
  ['the marks of a replay', all(added(`${HEADER.REPLAY_ID}: r`), added(`${HEADER.REPLAY_OF}: x`))],
  ['an event that it comes from', added(`${HEADER.EVENT}: X:1`)],
  ['the mark of a dead letter', added(`${HEADER.DEAD_REASON}: failed`)],
  ['a condition for the server', added('Nats-Expected-Stream: LOOPSTACK_RUNS')],
  ['an unknown header', added('X-Evil: 1')],
  ['an unknown header of ours', added('Loopstack-Of-Tomorrow: 1')],
  ['a header without a value', added('X-Evil:')],
  // What the workflow sees.
  ['another value of a header', value('X-Note', () => 'forged')],
  ['a blank behind a value', value('X-Note', (text) => `${text} `)],
  ['no such header', removed('X-Note')],
  ['a header in another case', renamed('X-Note', 'x-note')],
  ['a header twice', doubled('X-Note', 'forged')],
  ['a lone carriage return', value('X-Note', (text) => `${text}\rX-Evil: 1`)],
  ['a lone line feed', value('X-Note', (text) => `${text}\nX-Evil: 1`)],
  ['NUL in a value', value('X-Note', (text) => `${text}\0`)],
  ['a folded line', value('X-Note', (text) => `${text}\r\n folded`)],
  ['a line without a colon', added('nothing')],
  ['an empty line before a header', block((text) => `${text.slice(0, -2)}\r\nX-Evil: 1\r\n\r\n`)],
  // The mode of the body.
  ['a body that is data', all(added('ce-specversion: 1.0'), added('ce-source: /s'), added('ce-id: 1'), added('ce-userid: admin'))],
  ['a version of CloudEvents alone', added('ce-specversion: 1.0')],
  ['a user of CloudEvents alone', added('ce-userid: admin')],
  ['a type of content', added('content-type: application/cloudevents+json')],
  ['the packet of a Nest client', body((text) => `{"pattern":"p","data":${text}}`)],
  ['a CloudEvent as its body', body((text) => `{"specversion":"1.0","id":"1","source":"/s","type":"t","userid":"admin","data":${text}}`)],
  // The body.
  ['another user', body((text) => text.replace('u1', 'admin'))],
  ['another payload', body((text) => text.replace('"payload":{', '"payload":{"more":1,'))],
  ['the user twice', body((text) => text.replace('{', '{"userId":"admin",'))],
  ['a blank behind its body', body((text) => `${text} `)],
  ['a byte order mark', body((text) => `\ufeff${text}`)],
  ['a body that is no JSON', body(() => 'hello')],
  ['a body that is no UTF-8', body(() => Buffer.from([0x7b, 0x80, 0x7d]))],
  ['no body', body(() => '')],
  // The place.
  ['another workflow', subject('loopstack.run.Payments.Other')],
  ['another workspace', subject('loopstack.run.Refunds.Process')],
  ['the lane for high priority', subject('loopstack.lane.high.Payments.Process')],
  ['the lane for low priority', subject('loopstack.lane.low.Payments.Process')],
];

/** What is not signed at all, with the run id of a victim. */
const GARBAGE: readonly (readonly [string, string | Buffer, string?])[] = [
  ['no JSON', 'hello'],
  ['nothing', ''],
  ['no UTF-8', Buffer.from([0x22, 0xc0, 0xaf, 0x22])],
  ['no user', '{"payload":{}}'],
  ['a user that is no text', '{"userId":1}'],
  ['an unknown field', '{"userId":"u1","payload":{},"more":1}'],
  ['a payload that is refused', '{"userId":"u1","payload":[]}'],
  ['nesting without end', `{"userId":"u1","payload":${'['.repeat(5000)}`],
  ['a key twice', '{"userId":"u1","userId":"u2"}'],
  ['nearly all that the server takes', `{"userId":"u1","payload":{"id":"${'x'.repeat(1_000_000)}"}}`],
  ['a chain that is too deep', '{"userId":"u1"}', `${HEADER.CAUSE_DEPTH}: 999`],
  ['a deadline in the past', '{"userId":"u1"}', `${HEADER.EXPIRES_AT}: 2020-01-01T00:00:00.000Z`],
  ['a deadline that is no time', '{"userId":"u1"}', `${HEADER.EXPIRES_AT}: soon`],
  ['the mark of a redrive', '{"userId":"u1"}', `${HEADER.REDRIVEN}: 1`],
  ['a lone line feed in a header', '{"userId":"u1"}', 'X-Note: a\nb'],
  ['a name with a blank', '{"userId":"u1"}', 'X Note: a'],
  ['an incomplete CloudEvent', '{}', 'ce-specversion: 1.0'],
  [
    'a signature of nobody',
    '{"userId":"u1"}',
    `${HEADER.SIGNER}: nobody\r\n${HEADER.SIGNED_UNTIL}: ${later}\r\n${HEADER.SIGNATURE}: 2.${unused}`,
  ],
];

describe('copies of a signed command', () => {
  const rig = harness();
  let workers: INestMicroservice[];
  let nc: NatsConnection;
  let jsm: JetStreamManager;
  let dead: DeadLetters;

  beforeAll(async () => {
    await rig.startServer();
    const trust = { '*': { signers: [ours.nkey] } };
    const sign = commandSigner(ours.seed);
    const start = () => rig.startApp([Process, Other, Payments, Refunds], { sign }, { trust });
    workers = [await start(), await start()];
    dead = (workers[0] as INestMicroservice).get(DeadLetters);
    nc = await rig.connect();
    jsm = await nc.jetstreamManager();
    // As after the window of deduplication, or a restart without the commands in it: every copy reaches a worker.
    const { config } = await jsm.streams.info('LOOPSTACK_RUNS');
    await jsm.streams.update('LOOPSTACK_RUNS', { ...config, duplicate_window: 0 });
  });

  /** Stores what no client library would write. */
  async function send(command: Command): Promise<number> {
    const inbox = createInbox();
    const answers = nc.subscribe(inbox, { max: 1, timeout: 5000 });
    const headers = { encode: () => Buffer.from(command.block) } as unknown as MsgHdrs;
    nc.publish(command.subject, command.data, { reply: inbox, headers });
    for await (const { data } of answers) {
      const answer = JSON.parse(new TextDecoder().decode(data)) as { seq: number; duplicate?: boolean; error?: { description: string } };
      if (answer.error || answer.duplicate) throw new Error(answer.error?.description ?? 'it was dropped as a duplicate');
      return answer.seq;
    }
    throw new Error('no answer');
  }

  /** Resolves when all commands are settled but those that wait in a workflow. */
  async function settled(waiting = 0): Promise<void> {
    await until(`${waiting} wait`, async () => (await unsettledOf(jsm, 'LOOPSTACK_RUNS')) === waiting);
  }

  const historyOf = async (runId: string): Promise<readonly string[]> =>
    ((await readEvents(nc, 'LOOPSTACK_EVENTS')).get(runId) ?? []).map(({ type }) => type);
  const executions = (id: string): readonly Done[] => done.filter((one) => one.id === id);

  /** Each of the commands at these sequences is a dead letter of its own, for want of trust. */
  async function expectRefused(sequences: ReadonlyMap<number, string>, victim: string): Promise<void> {
    const letters = (await dead.list({ limit: 10_000 })).filter(({ sequence }) => sequences.has(sequence));
    const refused = letters.map(({ sequence, reason, code }) => `${sequences.get(sequence)}: ${reason} ${code}`);
    expect(refused.sort()).toEqual([...sequences.values()].map((name) => `${name}: untrusted UNTRUSTED`).sort());
    expect(letters.filter(({ runId }) => runId === victim)).toEqual([]);
    expect(new Set(letters.map(({ runId }) => runId)).size).toBe(letters.length);
  }

  async function sendAll(command: Command & { readonly runId: string }, changes: typeof CHANGED): Promise<Map<number, string>> {
    const sequences = new Map<number, string>();
    for (const [name, change] of changes) sequences.set(await send(change(command)), name);
    expect(sequences.size).toBe(changes.length);
    return sequences;
  }

  it('the test changes every part of a command', () => {
    expect(CHANGED.length).toBeGreaterThan(70);
    const one = genuine('x');
    for (const [name, change] of [...CHANGED, ...SAME.slice(1)]) {
      const { subject: place, block: lines, data } = change(one);
      expect([name, place === one.subject && lines === one.block && data.equals(one.data)]).toEqual([name, false]);
    }
  });

  it('changed copies start no second execution', async () => {
    const open = close('during');
    const command = genuine('during');
    await send(command);
    await until('it is executed', () => executions('during').length > 0);
    await sendAll(command, SAME);
    await expectRefused(await settledAll(command, 1), command.runId);
    expect(await historyOf(command.runId)).toEqual(['queued']);
    open();
    await settled();
    expect(await historyOf(command.runId)).toEqual(['queued', 'succeeded']);
    await sendAll(command, SAME);
    await expectRefused(await settledAll(command, 0), command.runId);
    expect(await historyOf(command.runId)).toEqual(['queued', 'succeeded']);
    expect(executions('during')).toEqual([{ id: 'during', runId: command.runId, userId: 'u1', note: 'genuine', workflow: 'Process' }]);
  });

  async function settledAll(command: Command & { readonly runId: string }, waiting: number): Promise<Map<number, string>> {
    const sequences = await sendAll(command, CHANGED);
    await settled(waiting);
    return sequences;
  }

  it('changed copies stored first change nothing', async () => {
    const command = genuine('before');
    const sequences = await settledAll(command, 0);
    expect(executions('before')).toEqual([]);
    await expectRefused(sequences, command.runId);
    await send(command);
    await settled();
    expect(await historyOf(command.runId)).toEqual(['queued', 'succeeded']);
    expect(executions('before')).toEqual([{ id: 'before', runId: command.runId, userId: 'u1', note: 'genuine', workflow: 'Process' }]);
  });

  it.each(SAME)('a copy with %s is the same run', async (name, change) => {
    const command = genuine(name);
    await send(change(command));
    await send(command);
    await settled();
    expect(executions(name)).toHaveLength(1);
    expect(await historyOf(command.runId)).toEqual(['queued', 'succeeded']);
  });

  it('two workers execute many copies once', async () => {
    const commands = Array.from({ length: 20 }, (_, i) => genuine(`many ${i}`));
    for (let round = 0; round < 4; round++) {
      await Promise.all(commands.map((command) => send(command)));
    }
    await settled();
    for (const [i, command] of commands.entries()) {
      expect(executions(`many ${i}`)).toHaveLength(1);
      expect(await historyOf(command.runId)).toEqual(['queued', 'succeeded']);
    }
  });

  it('copies of a failed command stay failed', async () => {
    const command = genuine('fails', newRunId(), {}, { fails: true });
    await send(command);
    await settled();
    await sendAll(command, SAME);
    await settled();
    expect((await dead.list({ runId: command.runId })).map(({ reason }) => reason)).toEqual(['failed']);
    expect(await historyOf(command.runId)).toEqual(['queued', 'failed']);
    expect(executions('fails')).toHaveLength(1);
  });

  it('garbage with a signed run id ends nothing', async () => {
    const open = close('victim');
    const command = genuine('victim');
    await send(command);
    await until('it is executed', () => executions('victim').length > 0);
    const garbage = async (): Promise<Map<number, string>> => {
      const sequences = new Map<number, string>();
      for (const [name, data, line] of GARBAGE) {
        const head = `NATS/1.0\r\n${HEADER.RUN_ID}: ${command.runId}\r\n${line === undefined ? '' : `${line}\r\n`}\r\n`;
        sequences.set(await send({ subject: SUBJECT, block: head, data: Buffer.from(data) }), name);
      }
      return sequences;
    };
    const first = await garbage();
    await settled(1);
    await expectRefused(first, command.runId);
    expect(await historyOf(command.runId)).toEqual(['queued']);
    open();
    await settled();
    const second = await garbage();
    await settled();
    await expectRefused(second, command.runId);
    expect(await historyOf(command.runId)).toEqual(['queued', 'succeeded']);
  });

  it('each redrive executes a signed command once', async () => {
    const command = genuine('redriven', newRunId(), {}, { fails: true });
    await send(command);
    await settled();
    const [letter] = await dead.list({ runId: command.runId });
    const open = close('redriven');
    await dead.redrive(letter?.deadSequence as number);
    await until('it is executed again', () => executions('redriven').length === 2);
    const { state } = await jsm.streams.info('LOOPSTACK_RUNS');
    const { message } = await api<{ message: { hdrs: string; data: string; subject: string } }>('STREAM.MSG.GET.LOOPSTACK_RUNS', {
      seq: state.last_seq,
    });
    const redriven = { subject: message.subject, block: fromBase64(message.hdrs).toString(), data: fromBase64(message.data) };
    expect(redriven.block).toContain(`${HEADER.REDRIVEN}: 1`);
    for (const copy of [command, redriven, removed(HEADER.REDRIVEN)({ ...redriven, runId: command.runId })]) await send(copy);
    await settled(1);
    open();
    await settled();
    expect(executions('redriven')).toHaveLength(2);
    expect(await historyOf(command.runId)).toEqual(['queued', 'failed', 'queued', 'started', 'failed']);
  });

  const fromBase64 = (text: string): Buffer => Buffer.from(text, 'base64');
  const api = async <T>(request: string, query: object): Promise<T> =>
    JSON.parse(new TextDecoder().decode((await nc.request(`$JS.API.${request}`, JSON.stringify(query))).data)) as T;
});

import { Publisher, JetStreamApi } from '@loopstack/jetstream';
import { DeadLetters, Replays } from '@loopstack/operations';
import { decodeRunEvent, isOutcome, newRunId, wireNames, type RunEvent, type RunHandle } from '@loopstack/shared';
import { once } from 'node:events';
import { connect } from 'node:net';
import { JOB, Rig, STREAMS, WORKSPACE, held, until } from '../rig/rig.js';

const options = { ...JOB.options, lease: '5s', concurrency: 64 } as const;
const WORKFLOWS = [
  { ...JOB, name: 'Outcome', options: { ...options, record: 'outcome' } },
  { ...JOB, name: 'Full', options: { ...options, record: 'full' } },
] as const;

interface Strange {
  readonly body?: string | Uint8Array;
  readonly headers?: readonly string[];
  readonly times?: number;
  /** Behind the version, in the first line of the headers. */
  readonly status?: string;
}

const at = '"at":"2026-01-01T00:00:00.000Z"';

/** Messages that are no events, as anybody can store them who may publish there. */
const STRANGE: Readonly<Record<string, Strange>> = {
  empty: {},
  'bytes that are no text': { body: Uint8Array.of(0xff, 0x00, 0xfe, 0x80) },
  'text that is no JSON': { body: 'hello' },
  null: { body: 'null' },
  'an array': { body: '[{"type":"succeeded"}]' },
  'an event cut short': { body: `{"type":"succeeded",${at},"attem` },
  'an unknown type': { body: `{"type":"exploded",${at},"attempt":1}` },
  'an attempt that is no count': { body: `{"type":"started",${at},"attempt":-1}` },
  'a sequence that is text': { body: `{"type":"queued",${at},"attempt":0,"sequence":"7"}` },
  'a time that is none': { body: '{"type":"succeeded","at":"soon","attempt":1}' },
  'an error that is text': { body: `{"type":"failed",${at},"attempt":1,"error":"boom"}` },
  'an error whose code is no code': { body: `{"type":"failed",${at},"attempt":1,"error":{"code":"a\\nb","name":"E","message":"m"}}` },
  'an error whose code is in every object': {
    body: `{"type":"failed",${at},"attempt":1,"error":{"code":"constructor","name":"E","message":"m"}}`,
  },
  'an error with fields that are none': {
    body: `{"type":"failed",${at},"attempt":1,"error":{"code":"X","name":"E","message":"m","errors":[null,5]}}`,
  },
  'an error with a field without a path': {
    body: `{"type":"failed",${at},"attempt":1,"error":{"code":"X","name":"E","message":"m","errors":[{}]}}`,
  },
  'an attempt after which none is counted': { body: `{"type":"retrying",${at},"attempt":${Number.MAX_SAFE_INTEGER}}` },
  'a refusal that is none': { body: `{"type":"queued",${at},"attempt":0,"refusal":{"count":1,"waitedMs":0,"by":[5]}}` },
  huge: { body: 'x'.repeat(900_000) },
  'many of them': { body: 'x', times: 30 },
  'headers that no client writes': { headers: ['a b: c', ': d'], body: 'x' },
  'the headers of an answer': {
    headers: ['Nats-Sequence: 1', 'Nats-Subject: x', 'Nats-Time-Stamp: never', 'Nats-Num-Pending: 0'],
    body: 'x',
  },
  'the status of an answer': { status: ' 404 Not Found', body: 'x' },
  'the status of the end of a batch': { status: ' 204 EOB', headers: ['Nats-Num-Pending: 0'] },
};

async function write(port: number, messages: readonly Buffer[]): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  socket.write('CONNECT {"verbose":false,"pedantic":false,"headers":true,"protocol":1}\r\n');
  for (const message of messages) socket.write(message);
  socket.write('PING\r\n');
  await until('the server has read it', () => text.includes('PONG'));
  expect(text).not.toContain('-ERR');
  socket.destroy();
}

function frames(subject: string, { body = '', headers = [], times = 1, status = '' }: Strange): Buffer[] {
  const head = Buffer.from(`NATS/1.0${status}\r\n${headers.map((line) => `${line}\r\n`).join('')}\r\n`);
  const bytes = Buffer.from(body as string);
  const first = Buffer.from(`HPUB ${subject} ${head.length} ${head.length + bytes.length}\r\n`);
  return Array.from({ length: times }, () => Buffer.concat([first, head, bytes, Buffer.from('\r\n')]));
}

interface Case {
  readonly name: string;
  readonly strange: Strange;
  readonly workflow: string;
  readonly key?: string;
}

const CASES: readonly Case[] = Object.entries(STRANGE).flatMap(([name, strange]) => [
  { name: `${name}, outcome`, strange, workflow: 'Outcome' },
  { name: `${name}, full`, strange, workflow: 'Full' },
  { name: `${name}, keyed`, strange, workflow: 'Outcome', key: newRunId() },
]);

describe('foreign messages on an event subject', () => {
  const rig = Rig.use('each', { workflows: WORKFLOWS });

  const start =
    (job: object, suffix = '') =>
    (one: Case) =>
      rig.run({ workflow: one.workflow, job }, one.key === undefined ? {} : { idempotencyKey: one.key + suffix });

  /** Puts each case's messages behind what its run has. */
  async function disturb(runs: readonly RunHandle[]): Promise<void> {
    const all = CASES.flatMap(({ workflow, strange }, i) => frames(`loopstack.event.${WORKSPACE}.${workflow}.${runs[i]?.id}`, strange));
    await write(rig.server.port, all);
  }

  async function lastOf(workflow: string, run: RunHandle): Promise<RunEvent | undefined> {
    const subject = `loopstack.event.${WORKSPACE}.${workflow}.${run.id}`;
    const last = await new JetStreamApi(rig.nc).getFromLeader(STREAMS.events, { last: subject });
    return last && decodeRunEvent(last.data);
  }

  async function historyOf(run: RunHandle): Promise<RunEvent[]> {
    const events: RunEvent[] = [];
    for await (const event of run.events()) events.push(event);
    return events;
  }

  /** Each run was executed once, and has one outcome that everybody sees. */
  async function expectOnce(runs: readonly RunHandle[], title: string): Promise<void> {
    const seen = await Promise.all(
      runs.map(async (run, i) => {
        const [result, info, history] = await Promise.all([
          run.result({ timeout: '30s' }).then(() => 'succeeded', String),
          run.status().then(({ status }) => status, String),
          historyOf(run),
        ]);
        const calls = rig.journal.of(run.id).map(({ kind, attempt }) => `${kind} ${attempt}`);
        const outcomes = history.filter(({ type }) => isOutcome(type)).map(({ type }) => type);
        return [CASES[i]?.name, calls, outcomes, result, info];
      }),
    );
    expect(seen).toEqual(CASES.map(({ name }) => [name, ['start 1', 'effect 1'], ['succeeded'], 'succeeded', 'succeeded']));
    const client = await rig.producer();
    const listed = await client.list({ limit: 1000 });
    expect(listed.map(({ status }) => status)).toEqual(CASES.map(() => 'succeeded'));
    held(title, { runs: runs.length });
  }

  it('foreign messages before a run do not disturb it', async () => {
    await (await rig.worker()).kill('SIGTERM');
    const runs = await Promise.all(CASES.map(start({})));
    await disturb(runs);
    const worker = await rig.worker();
    await rig.settled(60_000);
    await expectOnce(runs, 'strangers before the start');
    // Said once, however many there are.
    expect(worker.log().match(/has a message that is no run event/g)).toHaveLength(1);
    const { up, problems } = await worker.ready();
    expect(up).toBe(false);
    expect(problems.join()).toMatch(/LOOPSTACK_EVENTS has a message that is no run event, at \d+ on loopstack\.event\.Rig/);
  });

  it('foreign messages during a run do not disturb it', async () => {
    const first = rig.gate();
    const last = rig.gate();
    await rig.worker();
    const runs = await Promise.all(CASES.map(start({ do: 'progress-then-hold', first: first.path, gate: last.path })));
    for (const { id } of runs) await rig.journal.started(id);
    await disturb(runs);
    await first.open();
    for (const run of runs.filter((_, i) => CASES[i]?.workflow === 'Full')) {
      await until('progress is recorded behind the strangers', async () => (await lastOf('Full', run))?.type === 'progress', 60_000);
    }
    await disturb(runs);
    await last.open();
    await rig.settled(60_000);
    await expectOnce(runs, 'strangers while it runs');
  });

  it('foreign messages after an outcome do not undo it', async () => {
    const worker = await rig.worker();
    const runs = await Promise.all(CASES.map(start({})));
    await rig.settled(60_000);
    await disturb(runs);
    await expectOnce(runs, 'strangers after the outcome');
    await worker.kill('SIGTERM');
    for (const { name } of WORKFLOWS) await rig.jsm.consumers.delete(STREAMS.runs, `${WORKSPACE}~${name}`);
    await rig.worker();
    await rig.settled(60_000);
    await expectOnce(runs, 'strangers after the outcome, commands delivered again');
    const client = await rig.producer();
    for (const [i, { key, workflow }] of CASES.entries()) {
      if (key === undefined) continue;
      const again = await client.run(workflow, WORKSPACE, {}, 'u1', { idempotencyKey: key });
      expect([again.id, again.duplicate]).toEqual([runs[i]?.id, true]);
    }
  });

  it('foreign messages do not block cancels, selection or redrives', async () => {
    const gate = rig.gate();
    await rig.worker();
    const canceled = await Promise.all(CASES.map(start({ do: 'hold', gate: gate.path })));
    for (const { id } of canceled) await rig.journal.started(id);
    await disturb(canceled);
    await Promise.all(canceled.map((run) => run.cancel()));
    await rig.settled(60_000);
    for (const run of canceled) expect((await run.status()).status).toBe('canceled');

    const failed = await Promise.all(CASES.map(start({ do: 'reject-null' }, 'again')));
    await rig.settled(60_000);
    await disturb(failed);
    const publisher = new Publisher(rig.nc);
    const { counts } = await new Replays(rig.nc).preview({ outcome: 'failed' });
    expect(counts.matched).toBe(failed.length);
    const letters = new DeadLetters(new JetStreamApi(rig.nc), publisher, wireNames());
    const report = await letters.redrive({});
    expect(report.failed).toEqual([]);
    expect(report.done).toHaveLength(failed.length);
    await rig.settled(60_000);
    for (const { id } of failed) expect(rig.journal.of(id).filter(({ kind }) => kind === 'start')).toHaveLength(6);
  });
});

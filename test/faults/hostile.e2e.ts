import { HEADER } from '@loopstack/shared';
import { Empty, headers, type MsgHdrs } from 'nats';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { Rig, WORKSPACE, held, scaled, until } from '../rig/rig.js';

const utf8 = (text: string): Uint8Array => Buffer.from(text, 'utf8');
const payload = (json: string): Uint8Array => utf8(`{"userId":"u1","payload":${json}}`);
const withId = (name: string, value: string): MsgHdrs => {
  const set = headers();
  set.set(name, value);
  return set;
};

/** Bodies that are no run command, or that two parsers read differently. */
const BODIES: readonly (readonly [name: string, body: Uint8Array])[] = [
  ['nothing', Empty],
  ['no JSON', utf8('hello')],
  ['cut off', utf8('{"userId":"u1","payload":{"amount":1')],
  ['two values', utf8('{"userId":"u1","payload":{"amount":1}}{}')],
  ['a trailing comma', utf8('{"userId":"u1","payload":{"amount":1},}')],
  ['a comment', utf8('{"userId":"u1"/**/,"payload":{"amount":1}}')],
  ['NaN', payload('{"amount":NaN}')],
  ['single quotes', utf8("{'userId':'u1'}")],
  ['top-level null', utf8('null')],
  ['top-level number', utf8('1')],
  ['top-level array', utf8('[]')],
  ['payload null', payload('null')],
  ['payload array', payload('[]')],
  ['no user', utf8('{"payload":{"amount":1}}')],
  ['a user that is no string', utf8('{"userId":{"toString":"x"},"payload":{"amount":1}}')],
  ['a byte order mark', Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), payload('{"amount":1}')])],
  ['UTF-16', Buffer.from('{"userId":"u1","payload":{"amount":1}}', 'utf16le')],
  ['a lone continuation byte', Buffer.concat([utf8('{"userId":"u1","payload":{"amount":1,"note":"'), Buffer.from([0x80]), utf8('"}}')])],
  ['an overlong slash', Buffer.concat([utf8('{"userId":"u1","payload":{"amount":1,"note":"'), Buffer.from([0xc0, 0xaf]), utf8('"}}')])],
  [
    'an encoded surrogate',
    Buffer.concat([utf8('{"userId":"u1","payload":{"amount":1,"note":"'), Buffer.from([0xed, 0xa0, 0x80]), utf8('"}}')]),
  ],
  ['an escaped lone surrogate', payload('{"amount":1,"note":"\\ud800"}')],
  ['a key with a lone surrogate', payload('{"amount":1,"\\udfff":1}')],
  ['a key twice', payload('{"amount":1,"amount":2}')],
  ['a key twice, escaped', payload('{"amount":1,"\\u0061mount":2}')],
  ['the user twice', utf8('{"userId":"u1","userId":"root","payload":{"amount":1}}')],
  ['an integer that is rounded', payload('{"amount":9007199254740993}')],
  ['a number that overflows', payload('{"amount":1e999}')],
  ['nesting of 100,000 arrays', payload(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)],
  ['nesting of 100,000 objects', payload(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`)],
  ['nesting of 100,000 that never ends', payload('['.repeat(100_000))],
  ['200,000 array items', payload(`{"amount":1,"items":[${'1,'.repeat(199_999)}1]}`)],
  ['200,000 array items of the wrong type', payload(`{"amount":1,"items":[${'"x",'.repeat(199_999)}"x"]}`)],
  ['200,000 empty objects', payload(`{"amount":1,"items":[${'{},'.repeat(199_999)}{}]}`)],
  ['50,000 unknown fields', payload(`{"amount":1,${Array.from({ length: 50_000 }, (_, i) => `"f${i}":1`).join(',')}}`)],
  ['__proto__', payload('{"amount":1,"__proto__":{"polluted":true}}')],
  ['__proto__ as the body', utf8('{"__proto__":{"payload":{"amount":1}},"userId":"u1"}')],
  ['constructor', payload('{"amount":1,"constructor":{"prototype":{"polluted":true}}}')],
  ['toString', payload('{"amount":1,"toString":"x"}')],
  ['an escape sequence', payload('{"amount":"\\u001b[2J\\u0007\\r\\n[Nest] forged"}')],
  ['a raw control character', payload('{"amount":1,"note":"\u0001"}')],
  ['a key with a line break', payload('{"amount":1,"x\\r\\n[Nest] forged":1}')],
  ['half a megabyte of text', payload(`{"amount":1,"note":"${'x'.repeat(500_000)}"}`)],
];

const HEADERS: readonly (readonly [name: string, set: MsgHdrs])[] = [
  ['a run id with a dot', withId(HEADER.RUN_ID, 'a.b')],
  ['a run id that is a wildcard', withId(HEADER.RUN_ID, '>')],
  ['a run id with an escape sequence', withId(HEADER.RUN_ID, '\u001b[2J')],
  ['a run id of 10,000 characters', withId(HEADER.RUN_ID, 'x'.repeat(10_000))],
  ['an expiry that is no time', withId(HEADER.EXPIRES_AT, 'tomorrow')],
  ['a CloudEvent without a source', withId('ce-specversion', '1.0')],
];

/** Header blocks that no client library writes. */
const RAW_HEADERS: readonly (readonly [name: string, block: string])[] = [
  ['a line without a colon', 'NATS/1.0\r\nnothing\r\n\r\n'],
  ['an empty name', 'NATS/1.0\r\n: value\r\n\r\n'],
  ['a bare line feed in a value', 'NATS/1.0\r\nLoopstack-Run-Id: a\nX-Forged: 1\r\n\r\n'],
  ['a bare carriage return in a value', 'NATS/1.0\r\nLoopstack-Run-Id: a\rX-Forged: 1\r\n\r\n'],
  ['NUL in a value', 'NATS/1.0\r\nLoopstack-Run-Id: a\u0000b\r\n\r\n'],
  ['a run id twice, the first one bad', 'NATS/1.0\r\nLoopstack-Run-Id: ..\r\nLoopstack-Run-Id: ok\r\n\r\n'],
];

/** Workspace and workflow that the grammar refuses, as subject tokens that the server stores. */
const SUBJECTS: readonly (readonly [name: string, subject: string])[] = [
  ['NUL', 'loopstack.run.Rig.a\u0000b'],
  ['an emoji', 'loopstack.run.Rig.😀'],
  ['a no-break space', 'loopstack.run.Rig.a\u00a0b'],
  ['an escape sequence', 'loopstack.run.Rig.\u001b[2J'],
  ['$JS', 'loopstack.run.$JS.API'],
  ['3,000 characters', `loopstack.run.Rig.${'x'.repeat(3000)}`],
  ['a wildcard', 'loopstack.run.Rig.*'],
  ['a wildcard for the workspace', 'loopstack.run.*.Strict'],
  ['a slash', 'loopstack.run.Rig./etc/passwd'],
  ['quotes', 'loopstack.run.Rig."><script>'],
];

/** Writes what a client library would refuse to. */
async function writeRaw(port: number, frames: readonly Uint8Array[]): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  socket.write('CONNECT {"verbose":false,"pedantic":false,"headers":true,"protocol":1}\r\n');
  for (const frame of frames) socket.write(frame);
  socket.write('PING\r\n');
  await until('the server has read it', () => /PONG/.test(text));
  if (text.includes('-ERR')) throw new Error(text);
  socket.destroy();
}

const LAG_MS = 100;

const shorter = (ms: number, cpuMs: number): number => (Number.isNaN(cpuMs) ? ms : Math.min(ms, cpuMs));

/** Milliseconds for which the main thread of a process has run: on a busy machine the event loop is late without having done anything. */
function mainThreadMs(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
  } catch {
    return Number.NaN;
  }
}

describe('hostile input', () => {
  const rig = Rig.use('each', {
    workflows: [
      { workspace: WORKSPACE, name: 'Strict', payload: 'strict', options: { concurrency: 4 } },
      { workspace: WORKSPACE, name: 'Job', options: { concurrency: 4 } },
    ],
  });

  it('hostile input is dead-lettered without harm', async () => {
    const worker = await rig.worker();
    await rig.run();
    await rig.nc.jetstream().publish('loopstack.run.Rig.Strict', payload('{"amount":1}'));
    await rig.settled();
    const js = rig.nc.jetstream();
    const names = new Map<string, string>();
    const publish = async (name: string, subject: string, body: Uint8Array, set?: MsgHdrs): Promise<void> => {
      const { seq } = await js.publish(subject, body, set ? { headers: set } : {});
      names.set(String(seq), name);
    };

    const lags = new Map<string, number>();
    for (const [name, body] of BODIES) {
      // The shortest of a few: what is measured is the worker, not the machine that it shares.
      const measured: number[] = [];
      for (let round = 0; round < 10; round++) {
        await worker.ask('lag');
        const cpuMs = mainThreadMs(worker.pid);
        await publish(name, 'loopstack.run.Rig.Strict', body);
        await rig.settled();
        measured.push(shorter(await worker.ask<number>('lag'), mainThreadMs(worker.pid) - cpuMs));
        if ((measured.at(-1) as number) < LAG_MS) break;
      }
      lags.set(name, Math.min(...measured));
    }
    for (const [name, set] of HEADERS) await publish(name, 'loopstack.run.Rig.Strict', payload('{"amount":1}'), set);
    const frames = RAW_HEADERS.map(([, block]) => {
      const body = 'no JSON';
      const head = Buffer.byteLength(block);
      return Buffer.from(`HPUB loopstack.run.Rig.Strict ${head} ${head + body.length}\r\n${block}${body}\r\n`);
    });
    await writeRaw(rig.server.port, frames);
    await rig.settled();
    await writeRaw(
      rig.server.port,
      SUBJECTS.map(([, subject]) => Buffer.from(`PUB ${subject} 2\r\n{}\r\n`)),
    );

    const valid = 2;
    const expected = names.size + RAW_HEADERS.length + SUBJECTS.length;
    await until('all are dead letters', async () => (await rig.deadLetters()).length === expected);
    const letters = await rig.deadLetters();
    for (const letter of letters) {
      const name = names.get(letter.header(HEADER.DEAD_SEQUENCE) ?? '') ?? letter.header(HEADER.DEAD_SUBJECT);
      expect([name, letter.header(HEADER.DEAD_REASON)]).toEqual([name, 'invalid']);
      expect([name, Number(letter.header(HEADER.DEAD_ATTEMPTS))]).toEqual([
        name,
        letter.header(HEADER.DEAD_SUBJECT) === 'loopstack.run.Rig.Strict' ? 1 : 0,
      ]);
    }
    // None was called.
    expect(rig.journal.entries.filter(({ kind }) => kind === 'start')).toHaveLength(valid);
    const slowest = [...lags].sort(([, a], [, b]) => b - a)[0] as [string, number];
    expect([...lags].filter(([, ms]) => ms >= LAG_MS)).toEqual([]);
    expect(await worker.ask('prototype')).toEqual([]);
    const log = worker.log();
    // oxlint-disable-next-line no-control-regex
    expect(log.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
    expect(log).not.toMatch(/^\[Nest\] forged/m);
    // The loop goes on.
    await rig.runs(scaled(100, 20));
    await rig.settled();
    expect((await worker.ready()).up).toBe(true);
    held(`hostile input (${expected})`, await rig.balance(), { 'longest lag': `${Math.round(slowest[1])} ms (${slowest[0]})` });
  });
});

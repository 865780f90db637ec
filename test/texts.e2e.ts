import { LoopstackClient } from '@loopstack/client';
import { DeadLetters } from '@loopstack/nats';
import { Workflow, Workspace, type RunContext } from '@loopstack/core';
import { HEADER, LoopstackError, wireNames, type Headers, type RunOptions } from '@loopstack/shared/contract';
import type { INestMicroservice } from '@nestjs/common';
import fc from 'fast-check';
import { type NatsConnection } from 'nats';
import { harness } from './rig/harness.js';
import { until } from './until.js';

interface Arrived {
  readonly userId: string;
  readonly correlationId: string;
  /** Those that are not ours. */
  readonly headers: readonly (readonly [string, string])[];
}

const lines: string[] = [];

@Workflow()
class Tell {
  run(_: object, { userId, headers, correlationId }: RunContext): Arrived {
    lines.push(`on behalf of ${userId}`);
    const own = Object.entries(headers).filter(([name]) => !name.startsWith('Loopstack-'));
    return { userId, correlationId, headers: own };
  }
}

@Workflow({ retry: { attempts: 1 } })
class Fail {
  async run({ once }: { once?: boolean }, { headers, attempt }: RunContext): Promise<readonly (readonly [string, string])[]> {
    if (headers[HEADER.REDRIVEN] === undefined && once === true && attempt === 1) throw new Error('once');
    return Object.entries(headers).filter(([name]) => !name.startsWith('Loopstack-'));
  }
}

@Workspace({ workflows: [Tell, Fail] })
class Texts {}

const names = wireNames();

describe('texts of producers', () => {
  const rig = harness();
  let app: INestMicroservice;
  let client: LoopstackClient;
  let nc: NatsConnection;
  beforeAll(async () => {
    await rig.startServer();
    app = await rig.startApp([Tell, Fail, Texts]);
    client = await rig.connectClient();
    nc = await rig.connect();
  });

  /** What arrives of a run, or the code that refuses it. */
  const arrival = async (userId: string, options: RunOptions): Promise<Arrived | string> => {
    try {
      const run = await client.run<Arrived>('Tell', 'Texts', {}, userId, options);
      return await run.result({ timeout: '20s' });
    } catch (error) {
      return (error as LoopstackError).code;
    }
  };

  const awkward = fc.oneof(
    fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }),
    fc
      .array(
        fc.constantFrom(' ', '\t', '\u00a0', '\ufeff', '\u3000', '\n', '\u0085', '\u2028', '\u202e', '\ud800', 'a', 'é', '👍', ':', '%20'),
        {
          maxLength: 5,
        },
      )
      .map((parts) => parts.join('')),
  );
  const headerName = fc.oneof(
    fc.stringMatching(/^[!-9;-~]{1,12}$/),
    fc.constantFrom('__proto__', 'constructor', 'toString', 'hasOwnProperty', 'X-A', 'a', ' a', 'a:b', 'é', ''),
  );
  const headersOf = (pairs: readonly (readonly [string, string])[]): Headers => Object.fromEntries(pairs);

  it('texts arrive unchanged or are refused', async () => {
    const cases = fc.sample(
      fc.record({ user: awkward, pairs: fc.array(fc.tuple(headerName, awkward), { maxLength: 3 }), correlation: awkward }),
      600,
    );
    // One part at a time too, or nearly every case would be refused for one of the others.
    const asked = cases.flatMap(({ user, pairs, correlation }) => [
      { user, pairs: [], correlation: undefined },
      { user: 'u1', pairs, correlation: undefined },
      { user: 'u1', pairs: [], correlation },
    ]);
    let accepted = 0;
    let refused = 0;
    await Promise.all(
      asked.map(async ({ user, pairs, correlation }) => {
        const headers = headersOf(pairs);
        const came = await arrival(user, { headers, ...(correlation === undefined ? {} : { correlationId: correlation }) });
        if (typeof came === 'string') {
          expect(['USER_MISSING', 'OPTION_INVALID']).toContain(came);
          refused++;
          return;
        }
        accepted++;
        expect(came.userId).toBe(user);
        expect(new Map(came.headers)).toEqual(new Map(Object.entries(headers)));
        if (correlation !== undefined) expect(came.correlationId).toBe(correlation);
      }),
    );
    expect([accepted, refused].every((count) => count > 200)).toBe(true);
    // Read back as a log: no user id has made a line of its own.
    for (const line of lines) expect(line).toMatch(/^on behalf of [^\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]*$/u);
  });

  it.each<[string, unknown]>([
    ['a blank before it', { 'X-A': ' x' }],
    ['a blank behind it', { 'X-A': 'x ' }],
    ['a no-break space behind it', { 'X-A': 'x\u00a0' }],
    ['only blanks', { 'X-A': '  ' }],
    ['a tab in it', { 'X-A': 'a\tb' }],
    ['an escape in it', { 'X-A': '\u001b[2J' }],
    ['a next-line in it', { 'X-A': 'a\u0085b' }],
    ['a lone surrogate', { 'X-A': '\ud83d' }],
    ['a number', { 'X-A': 5 }],
    ['a Map of headers', new Map([['X-A', 'x']])],
    ['a list of headers', [['X-A', 'x']]],
    ['the headers of fetch', new globalThis.Headers({ 'X-A': 'x' })],
    ['null', null],
  ])('a header with %s is refused before publishing', async (_, headers) => {
    const before = nc.stats().outMsgs;
    await expect(client.run('Tell', 'Texts', {}, 'u1', { headers: headers as Headers })).rejects.toMatchObject({ code: 'OPTION_INVALID' });
    expect(nc.stats().outMsgs).toBe(before);
  });

  it('a header may be named __proto__', async () => {
    const headers = JSON.parse('{"__proto__":"kept","constructor":"kept, too"}') as Headers;
    const came = (await arrival('u1', { headers })) as Arrived;
    expect(new Map(came.headers)).toEqual(
      new Map([
        ['__proto__', 'kept'],
        ['constructor', 'kept, too'],
      ]),
    );
  });

  it.each(['line\nbreak', 'a\u001b[31m', 'a\u0085b', 'a\u2028b', 'a\u202eb', 'a\u0000b', 'a\u007fb'])(
    'a user that forges log lines is dead-lettered (%j)',
    async (userId) => {
      const { seq } = await nc.jetstream().publish(names.run({ workspace: 'Texts', workflow: 'Tell' }), JSON.stringify({ userId }));
      const letters = app.get(DeadLetters);
      const letter = await until('its dead letter', async () =>
        (await letters.list({ limit: 1000 })).find(({ sequence }) => sequence === seq),
      );
      expect(letter).toMatchObject({
        reason: 'invalid',
        code: 'COMMAND_INVALID',
        errors: [{ path: 'userId', received: 'a string with a control character' }],
      });
      expect(lines.some((line) => line.includes(userId))).toBe(false);
    },
  );

  it('header blanks survive delivery and redrive', async () => {
    const inbox = 'texts.answer';
    const block = 'NATS/1.0\r\nX-Blank:  both \r\nX-Tight:x\r\n__proto__: kept\r\n\r\n';
    const body = '{"userId":"u1","payload":{"once":true}}';
    const answer = nc.subscribe(inbox, { max: 1 });
    const raw = nc as unknown as { protocol: { sendCommand(command: string): void } };
    const subject = names.run({ workspace: 'Texts', workflow: 'Fail' });
    raw.protocol.sendCommand(`HPUB ${subject} ${inbox} ${block.length} ${block.length + body.length}\r\n${block}${body}\r\n`);
    let seq = 0;
    for await (const message of answer) seq = message.json<{ seq: number }>().seq;
    const letters = app.get(DeadLetters);
    const letter = await until('its dead letter', async () =>
      (await letters.list({ workflow: 'Fail' })).find(({ sequence }) => sequence === seq),
    );
    expect(Object.entries(letter.headers)).toEqual(
      expect.arrayContaining([
        ['X-Blank', ' both '],
        ['X-Tight', 'x'],
        ['__proto__', 'kept'],
      ]),
    );
    await letters.redrive(letter.deadSequence);
    const run = client.handle<[string, string][]>({ workspace: 'Texts', workflow: 'Fail' }, letter.runId);
    await until('it has run again', async () => (await run.status()).status === 'succeeded');
    expect(new Map(await run.result())).toEqual(
      new Map([
        ['X-Blank', ' both '],
        ['X-Tight', 'x'],
        ['__proto__', 'kept'],
      ]),
    );
  });

  it('foreign correlation ids are one printable line', async () => {
    const block = `NATS/1.0\r\n${HEADER.RUN_ID}: foreign-1\r\n${HEADER.CORRELATION_ID}: a\u2028b\u001b[0m\r\n\r\n`;
    const body = '{"userId":"u1"}';
    const raw = nc as unknown as { protocol: { sendCommand(command: Uint8Array): void } };
    const [head, subject] = [Buffer.from(block), names.run({ workspace: 'Texts', workflow: 'Tell' })];
    raw.protocol.sendCommand(
      Buffer.concat([Buffer.from(`HPUB ${subject} ${head.length} ${head.length + body.length}\r\n`), head, Buffer.from(`${body}\r\n`)]),
    );
    const run = client.handle<Arrived>({ workspace: 'Texts', workflow: 'Tell' }, 'foreign-1');
    expect((await run.result()).correlationId).toBe('a\\u2028b\\u001b[0m');
  });
});

import { HEADER } from '@loopstack/shared';
import { Rig, WORKSPACE, held, scaled } from '../rig/rig.js';
import type { Job } from '../rig/worker/behaviour.js';

/** What a handler does, and what the dead letter says of it. */
const FAILURES: readonly (readonly [name: string, job: Job, reason: string, message: RegExp])[] = [
  ['throws', { do: 'throw' }, 'failed', /Job failed: Error: boom/],
  ['throws a text', { do: 'throw-text' }, 'failed', /it threw only text/],
  ['throws what is no error and cannot be printed', { do: 'throw-strange' }, 'failed', /it threw a object|it threw an object/],
  ['rejects with undefined', { do: 'reject-undefined' }, 'failed', /it threw undefined/],
  ['rejects with null', { do: 'reject-null' }, 'failed', /it threw null/],
  ['rejects with an error whose message cannot be read', { do: 'reject-unreadable' }, 'failed', /Error: its message cannot be read/],
  ['rejects with a proxy that throws', { do: 'reject-proxy' }, 'failed', /it threw a object/],
  ['throws an error whose name and stack are no text', { do: 'throw-odd' }, 'failed', /Error: boom/],
  ['never settles', { do: 'never' }, 'timeout', /did not settle within 500 ms/],
  ['rejects after its timeout', { do: 'reject-late', ms: 700 }, 'timeout', /did not settle within 500 ms/],
];

describe('handlers', () => {
  const rig = Rig.use('each', {
    workflows: [
      { workspace: WORKSPACE, name: 'Job', options: { retry: { attempts: 2, delay: '50ms' }, timeout: '500ms', concurrency: 8 } },
    ],
  });

  it('every kind of failing handler is classified', async () => {
    const worker = await rig.worker();
    const copies = scaled(100, 5);
    const failing = new Map<string, (typeof FAILURES)[number]>();
    for (const failure of FAILURES) for (const { id } of await rig.runs(copies, { job: failure[1] })) failing.set(id, failure);
    await rig.runs(100);
    await rig.settled();
    expect(worker.running).toBe(true);
    const letters = await rig.deadLetters();
    for (const letter of letters) {
      const [name, , reason, message] = failing.get(letter.header(HEADER.RUN_ID) ?? '') as (typeof FAILURES)[number];
      expect([name, letter.header(HEADER.DEAD_REASON), letter.header(HEADER.DEAD_ATTEMPTS)]).toEqual([name, reason, '2']);
      expect(letter.header(HEADER.DEAD_MESSAGE)).toMatch(message);
    }
    const balance = await rig.balance();
    expect(balance).toMatchObject({ executed: 100, dead: failing.size, lost: [], duplicates: 0, twiceEnded: [] });
    held('handlers that fail in every way', balance);
  });

  it('an oversized result fails once without another effect', async () => {
    const small = await Rig.start({ server: { config: 'max_payload: 64KB' } });
    try {
      await small.worker();
      const { id } = await small.run({ job: { do: 'big', bytes: 65_500 } });
      await small.settled();
      const [letter] = await small.deadLetters();
      expect([letter?.header(HEADER.RUN_ID), letter?.header(HEADER.DEAD_CODE)]).toEqual([id, 'RESULT_TOO_LARGE']);
      const balance = await small.balance();
      expect(balance).toMatchObject({ executed: 1, duplicates: 0, lost: [], twiceEnded: [] });
      held('result that the server does not take', balance);
    } finally {
      await small.end();
    }
  });

  it('errors are logged without control characters', async () => {
    const worker = await rig.worker();
    await rig.run({ job: { do: 'throw-forged' } });
    await rig.settled();
    const log = worker.log();
    expect(log).toContain('boom\\u0007');
    // oxlint-disable-next-line no-control-regex
    expect(log).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
    expect(log).not.toMatch(/^\[Nest\] 1 /m);
    held('error that forges a log line', await rig.balance());
  });
});

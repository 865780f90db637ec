import { HEADER, encodeRunEvent, wireNames } from '@loopstack/shared';
import { GAGGED } from '../rig/accounts.js';
import { Rig, STREAMS, WORKSPACE, held, until } from '../rig/rig.js';

const workflows = [{ workspace: WORKSPACE, name: 'Job', options: { lease: '1s', retry: { attempts: 2, delay: '50ms' } } }] as const;

describe('dead letters', () => {
  let rig: Rig;
  afterEach(() => rig?.end());

  it('a command near the size limit gets a pointer', async () => {
    rig = await Rig.start({ workflows });
    await rig.worker();
    const limit = rig.nc.info?.max_payload ?? 0;
    // As large as a producer can send it: 350 bytes are its envelope and headers.
    const run = await rig.run({ job: { do: 'throw', note: 'x'.repeat(limit - 350) } }, { headers: { 'X-Order': '42' } });
    await rig.settled();
    const [letter, ...more] = await rig.deadLetters();
    expect(more).toEqual([]);
    expect(letter?.header(HEADER.DEAD_FORM)).toBe('pointer');
    expect(letter?.data).toHaveLength(0);
    expect(letter?.header('X-Order')).toBe('42');
    expect(letter?.header(HEADER.DEAD_REASON)).toBe('failed');
    const pointed = await rig.jsm.streams.getMessage(letter?.header(HEADER.DEAD_STREAM) ?? '', {
      seq: Number(letter?.header(HEADER.DEAD_SEQUENCE)),
    });
    expect(pointed.header.get(HEADER.RUN_ID)).toBe(run.id);
    expect(pointed.data.length).toBeGreaterThan(limit - 400);
    expect(rig.journal.of(run.id).filter(({ kind }) => kind === 'start')).toHaveLength(2);
    held('failing command of nearly max_payload', await rig.balance());
  });

  it('the next worker writes a missing dead letter', async () => {
    const [job] = workflows;
    rig = await Rig.start({ workflows: [{ ...job, options: { ...job.options, record: 'full' } }] });
    await rig.worker();
    const pause = { pause_until: new Date(Date.now() + 1000).toISOString() };
    await rig.nc.request(`$JS.API.CONSUMER.PAUSE.${STREAMS.runs}.${WORKSPACE}~Job`, JSON.stringify(pause));
    const { id, sequence } = await rig.run();
    const error = { code: 'HANDLER_FAILED', name: 'Error', message: 'boom' } as const;
    const failed = encodeRunEvent({ type: 'failed', at: new Date().toISOString(), attempt: 2, sequence, worker: 'another:1', error });
    await rig.nc.request(wireNames().event({ workspace: WORKSPACE, workflow: 'Job' }, id), failed);
    const [letter] = await until('there is a dead letter', async () => {
      const letters = await rig.deadLetters();
      return letters.length > 0 ? letters : undefined;
    });
    expect(letter?.header(HEADER.RUN_ID)).toBe(id);
    await rig.settled();
    expect(await rig.deadLetters()).toHaveLength(1);
    expect(rig.journal.of(id)).toEqual([]);
    held('failure without its dead letter', await rig.balance());
  });

  it('headers near the size limit get a pointer', async () => {
    rig = await Rig.start({ workflows });
    await rig.worker();
    const run = await rig.run({ job: { do: 'throw' } }, { headers: { 'X-Large': 'x'.repeat(64 * 1024 - 300), 'X-Order': '42' } });
    await rig.settled();
    const [letter, ...more] = await rig.deadLetters();
    expect(more).toEqual([]);
    expect(letter?.header(HEADER.RUN_ID)).toBe(run.id);
    expect(letter?.header(HEADER.DEAD_FORM)).toBe('pointer');
    expect(letter?.header('X-Order')).toBe('42');
    held('failing command with headers of nearly 64 KiB', await rig.balance());
  });

  it('a forbidden dead letter keeps its command and alarms', async () => {
    rig = await Rig.start({ workflows, server: { config: GAGGED } });
    const gagged = await rig.worker({ connect: { user: 'gagged', pass: 'gagged' } });
    const run = await rig.run({ job: { do: 'throw' } });
    await until('readiness is red', async () => !(await gagged.ready()).up);
    const { problems } = await gagged.ready();
    expect(problems.join()).toMatch(/dead letters of Rig\.Job cannot be written: .*may not publish/);
    expect(gagged.log()).toMatch(/ERROR \[Alarm\] dead letters of Rig\.Job cannot be written/);
    expect(await rig.queued()).toBe(1);
    expect((await rig.jsm.streams.info(STREAMS.runs)).state.messages).toBe(1);
    // Other runs go on meanwhile.
    const healthy = await rig.run();
    await rig.journal.started(healthy.id);
    await rig.worker({ connect: { user: 'admin', pass: 'admin' } });
    await gagged.kill();
    await rig.settled();
    const letters = await rig.deadLetters();
    expect(letters.map((letter) => letter.header(HEADER.RUN_ID))).toEqual([run.id]);
    expect(rig.journal.of(run.id).filter(({ kind }) => kind === 'start')).toHaveLength(2);
    held('dead letters denied', await rig.balance());
  });

  it('dead letters survive a stream that starts over', async () => {
    rig = await Rig.start({ workflows });
    await rig.worker();
    const first = await rig.run({ job: { do: 'throw' } });
    await rig.settled();
    await rig.jsm.streams.delete(STREAMS.runs);
    const second = await until('the stream is there again', () => rig.run({ job: { do: 'throw' } }).catch(() => undefined));
    await until('its dead letter is written', async () => (await rig.deadLetters()).length > 1);
    expect((await rig.deadLetters()).map((letter) => letter.header(HEADER.RUN_ID))).toEqual([first.id, second.id]);
    held('dead letters over a stream made anew', { dead: 2 });
  });
});

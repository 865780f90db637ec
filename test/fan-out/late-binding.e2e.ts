import { Workflow, Workspace, type EventBinding } from '@loopstack/core';
import { Bindings } from '@loopstack/operations';
import { JetStreamApi } from '@loopstack/jetstream';
import { wireNames } from '@loopstack/shared';
import { jest } from '@jest/globals';
import type { Type } from '@nestjs/common';
import { messageIdsForgotten } from '../rig/measure.js';
import { Rig, until, type Service } from './rig.js';
import { unsettled } from '../unsettled.js';

interface Numbered {
  readonly n: number;
}

/** A service with one workflow, which notes the numbers of the events that start it. */
function listener(workspace: string, binding: Partial<EventBinding<object>>): { providers: Type<object>[]; numbers: number[] } {
  const numbers: number[] = [];
  class Late {
    run({ n }: Numbered): void {
      numbers.push(n);
    }
  }
  Workflow({ on: [{ subject: 'numbers.>', userId: 'u', ...binding }] })(Late);
  class Space {}
  Workspace({ name: workspace, workflows: [Late] })(Space);
  return { providers: [Space, Late], numbers };
}

const from = (first: number, last: number): number[] => Array.from({ length: last - first + 1 }, (_, i) => first + i);
const sorted = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b);

describe('a binding that is added later', () => {
  const rig = Rig.use('all');
  beforeAll(async () => {
    await rig.stream('NUMBERS', 'numbers.>');
    for (const n of from(1, 40)) await rig.emit('numbers.early', { n });
  });

  /** Starts it, emits one more event, and waits until that one has started a run. */
  async function caughtUp(listening: ReturnType<typeof listener>, n: number): Promise<{ service: Service; numbers: readonly number[] }> {
    const service = await rig.service({ providers: listening.providers });
    await rig.emit('numbers.late', { n });
    await until(`event ${n}`, () => listening.numbers.includes(n));
    return { service, numbers: sorted(listening.numbers) };
  }

  it("from 'now' gets what comes from then on", async () => {
    const { numbers } = await caughtUp(listener('Now', { from: 'now' }), 41);
    expect(numbers).toEqual([41]);
  });

  it("from 'all' gets everything that the stream holds", async () => {
    const all = listener('All', { from: 'all' });
    const { service } = await caughtUp(all, 42);
    await until('all of them', () => all.numbers.length >= 42);
    expect(sorted(all.numbers)).toEqual(from(1, 42));
    await rig.stop(service);
  });

  it('from a sequence gets that event and the later ones', async () => {
    const some = listener('Sequence', { from: 31 });
    await caughtUp(some, 43);
    await until('all of them', () => some.numbers.length >= 13);
    expect(sorted(some.numbers)).toEqual(from(31, 43));
  });

  it('from a time gets what was stored since', async () => {
    const { time } = await rig.jsm.streams.getMessage('NUMBERS', { seq: 41 });
    const some = listener('Time', { from: time });
    await caughtUp(some, 44);
    await until('all of them', () => some.numbers.length >= 4);
    expect(sorted(some.numbers)).toEqual(from(41, 44));
  });

  it('goes on where it was, and not where it began', async () => {
    const { numbers } = await caughtUp(listener('All', { from: 'all' }), 45);
    expect(numbers).toEqual([43, 44, 45]);
  });
});

describe('the start of a binding that exists', () => {
  const rig = Rig.use('all');
  beforeAll(async () => {
    await rig.stream('NUMBERS', 'numbers.>');
  });

  it('cannot be changed, and the boot says what to do', async () => {
    await rig.stop(await rig.service(listener('Fixed', { from: 'now' })));
    await expect(rig.service(listener('Fixed', { from: 'all' }))).rejects.toMatchObject({
      code: 'BOOT_FAILED',
      message: expect.stringMatching(/loopstack~on~Fixed~Late~numbers,# .*from = now, but the code wants all.*`loopstack bindings remove`/),
    });
  });

  it('is another one after the binding was removed; an event that has started a run starts no second one', async () => {
    // The server forgets message ids soon, as it does after two minutes by default.
    const nats = { runs: { deduplication: '100ms' as const } };
    const first = listener('Again', { from: 'all' });
    const service = await rig.service({ providers: first.providers, nats });
    for (const n of from(1, 5)) await rig.emit('numbers.x', { n });
    await until('five runs', () => first.numbers.length === 5);
    await until('five outcomes', async () => (await rig.outcomes()).length === 5);
    await rig.stop(service);

    const tool = await rig.service({ providers: [], worker: false, nats });
    await until('nobody consumes it', async () => !(await tool.bindings.list()).find(({ workspace }) => workspace === 'Again')?.consumed);
    await tool.bindings.remove('loopstack~on~Again~Late~numbers,#');

    await messageIdsForgotten(rig.nc);
    const again = listener('Again', { from: 'all' });
    await rig.service({ providers: again.providers, nats });
    await rig.emit('numbers.x', { n: 6 });
    await until('the new event', () => again.numbers.includes(6));
    await until('all commands are settled', async () => {
      return (await rig.commands('Again')).length === 11 && (await unsettled(rig.jsm, 'LOOPSTACK_RUNS', 'Again~Late')) === 0;
    });
    expect(again.numbers).toEqual([6]);
    expect(await rig.outcomes()).toEqual([1, 1, 1, 1, 1, 1]);
  });
});

describe('a binding that nobody declares any more', () => {
  const rig = Rig.use('all');
  beforeAll(async () => {
    await rig.stream('NUMBERS', 'numbers.>');
    await rig.stop(await rig.service(listener('Left', { subject: 'numbers.old' })));
    await rig.emit('numbers.old', { n: 1 });
  });

  const OLD = 'loopstack~on~Left~Late~numbers,old';

  it('is reported in health, kept, and removed by an explicit command only', async () => {
    const service = await rig.service(listener('Left', { subject: 'numbers.new' }));
    await until('it is reported', async () =>
      ((await service.health())['loopstack']?.['unusedBindings'] as string[] | undefined)?.includes(OLD),
    );
    expect((await service.health())['loopstack']?.status).toBe('up');
    const found = await until('it is not consumed', async () =>
      (await service.bindings.list()).find(({ durable, consumed }) => durable === OLD && !consumed),
    );
    expect(found).toMatchObject({
      stream: 'NUMBERS',
      kind: 'on',
      workspace: 'Left',
      workflow: 'Late',
      subject: 'numbers.old',
      from: 'now',
      pending: 1,
    });
    await service.bindings.remove(OLD);
    expect((await service.bindings.list()).map(({ durable }) => durable)).toEqual(['loopstack~on~Left~Late~numbers,new']);
  });

  it('is reported in health also where the worker is beside an HTTP server', async () => {
    const { providers } = listener('Beside', { subject: 'numbers.old' });
    await rig.stop(await rig.service({ providers }));
    const left = 'loopstack~on~Beside~Late~numbers,old';
    const service = await rig.service({
      name: 'beside',
      worker: 'beside',
      providers: listener('Beside', { subject: 'numbers.new' }).providers,
    });
    const reported = async (): Promise<boolean | undefined> =>
      ((await service.health())['loopstack']?.['unusedBindings'] as string[] | undefined)?.includes(left);
    await until('it is reported', reported);
    // As long as the other look takes, that of the application.
    await service.bindings.list();
    expect(await reported()).toBe(true);
  });

  it('is told from the one of the same name on the stream that is declared now', async () => {
    await rig.stream('MOVED', 'moved.>');
    const declared = (stream: string) => ({ providers: listener('Moved', { subject: 'numbers.>', stream }).providers });
    await rig.jsm.streams.update('MOVED', { sources: [{ name: 'NUMBERS' }] });
    await rig.stop(await rig.service(declared('NUMBERS')));
    const service = await rig.service(declared('MOVED'));
    const moved = 'loopstack~on~Moved~Late~numbers,#';
    await until('it is reported', async () =>
      ((await service.health())['loopstack']?.['unusedBindings'] as string[] | undefined)?.includes(moved),
    );
    await expect(service.bindings.remove(moved)).rejects.toMatchObject({ code: 'OPTION_INVALID', message: expect.stringMatching(/MOVED/) });
    await service.bindings.remove(moved, 'NUMBERS');
    expect((await service.bindings.list()).filter(({ durable }) => durable === moved)).toMatchObject([{ stream: 'MOVED' }]);
  });

  it('is not removed while it is consumed', async () => {
    const [service] = [await rig.service(listener('Kept', {}))];
    await expect(service.bindings.remove('loopstack~on~Kept~Late~numbers,#')).rejects.toMatchObject({ code: 'BINDING_IN_USE' });
    await expect(service.bindings.remove('loopstack~on~Kept~Late~nothing')).rejects.toMatchObject({ code: 'BINDING_UNKNOWN' });
    await expect(service.bindings.remove('Kept~Late')).rejects.toMatchObject({ code: 'BINDING_UNKNOWN' });
  });
});

describe('a binding that somebody has paused', () => {
  const rig = Rig.use('all');
  beforeAll(async () => {
    await rig.stream('NUMBERS', 'numbers.>');
  });

  it('is told of in readiness, which stays green, and takes its events when it is resumed', async () => {
    await rig.stop(await rig.service(listener('Paused', {})));
    const pause = (body: object): Promise<unknown> =>
      rig.nc.request('$JS.API.CONSUMER.PAUSE.NUMBERS.loopstack~on~Paused~Late~numbers,#', JSON.stringify(body));
    // The server leaves zeros at the end out.
    const until1h = new Date(Date.now() + 3_600_000).toISOString().replace(/...Z$/, '001Z');
    await pause({ pause_until: until1h });
    const listening = listener('Paused', {});
    const service = await rig.service({ providers: listening.providers });
    await rig.emit('numbers.x', { n: 1 });
    await until('readiness tells', async () => {
      const { status, events } = (await service.health())['loopstack'] as { status: string; events?: { pausedUntil?: string }[] };
      return status === 'up' && events?.[0]?.pausedUntil === until1h;
    });
    expect(await service.bindings.list()).toMatchObject([{ pausedUntil: until1h, pending: 1 }]);
    expect(listening.numbers).toEqual([]);
    await pause({});
    await until('its event', () => listening.numbers.length === 1);
  });
});

describe('bindings for which JetStream does not answer', () => {
  const domain = 'led';
  const asked = new Set<string>();
  const rig = Rig.use('all');
  /** Called when a binding is asked for. */
  let heard: () => void = () => undefined;
  beforeAll(async () => {
    await rig.stream('NUMBERS', 'numbers.>');
    const head = `$JS.${domain}.API.`;
    const answer = async (path: string, data: Uint8Array): Promise<Uint8Array | string> => {
      if (!path.startsWith('CONSUMER.INFO.NUMBERS.')) return (await rig.nc.request(`$JS.API.${path}`, data)).data;
      asked.add(path);
      heard();
      return JSON.stringify({ error: { code: 503, err_code: 10008, description: 'no leader' } });
    };
    rig.nc.subscribe(`${head}>`, {
      callback: (_, msg) => void answer(msg.subject.slice(head.length), msg.data).then((data) => msg.respond(data)),
    });
  });
  afterEach(() => jest.restoreAllMocks());

  it('stop the boot when one of them was waited for', async () => {
    const now = performance.now.bind(performance);
    // The time for which it is waited.
    heard = () => void jest.spyOn(performance, 'now').mockImplementation(() => now() + 31_000);
    const providers = [listener('One', {}), listener('Two', {})].flatMap((listening) => listening.providers);
    await expect(rig.service({ providers, nats: { domain } })).rejects.toMatchObject({ message: expect.stringMatching(/no leader/) });
    expect(asked.size).toBe(1);
  });

  it('are not left out of the list as if there were none', async () => {
    heard = () => undefined;
    await rig.service(listener('Listed', {}));
    await expect(new Bindings(new JetStreamApi(rig.nc, domain), wireNames('loopstack')).list()).rejects.toThrow('no leader');
  });
});

describe('a durable that is deleted under a worker', () => {
  const rig = Rig.use('all');
  beforeAll(async () => {
    await rig.stream('NUMBERS', 'numbers.>');
  });

  it('is made again where it was, so that nothing is missed and nothing runs twice', async () => {
    const listening = listener('Gone', { from: 'now' });
    await rig.service({ providers: listening.providers });
    for (const n of from(1, 3)) await rig.emit('numbers.x', { n });
    await until('three', () => listening.numbers.length === 3);
    await rig.jsm.consumers.delete('NUMBERS', 'loopstack~on~Gone~Late~numbers,#');
    for (const n of from(4, 6)) await rig.emit('numbers.x', { n });
    await until('six', () => listening.numbers.length >= 6);
    expect(sorted(listening.numbers)).toEqual(from(1, 6));
    const { config } = await rig.consumer('NUMBERS', 'loopstack~on~Gone~Late~numbers,#');
    expect(config.metadata).toMatchObject({ 'loopstack.from': 'now' });
  });
});

describe('a durable that is deleted before it got anything', () => {
  const rig = Rig.use('all');
  beforeAll(async () => {
    await rig.stream('NUMBERS', 'numbers.>');
    await rig.emit('numbers.before', { n: 0 });
  });

  it('is made again from when it had been made, so that nothing is missed', async () => {
    const listening = listener('Soon', { from: 'now' });
    await rig.service({ providers: listening.providers });
    await rig.jsm.consumers.delete('NUMBERS', 'loopstack~on~Soon~Late~numbers,#');
    await rig.emit('numbers.x', { n: 1 });
    await until('it runs', () => listening.numbers.length > 0);
    expect(listening.numbers).toEqual([1]);
  });
});

describe('the stream of a subject', () => {
  const rig = Rig.use('all');

  const boot = (binding: Partial<EventBinding<object>>, nats = {}): Promise<Service> =>
    rig.service({ providers: listener('Found', binding).providers, nats });
  const refused = (text: RegExp): object => ({ code: 'BOOT_FAILED', message: expect.stringMatching(text) as unknown });

  it('must exist, or the boot stops and says what to do', async () => {
    await expect(boot({ subject: 'nowhere.x' })).rejects.toMatchObject(
      refused(/no stream captures nowhere\.x\. Create a stream for it, .*inbound: true/),
    );
  });

  it('must be told where several capture the subject', async () => {
    await rig.stream('EU', 'shop.eu');
    await rig.stream('US', 'shop.us');
    await expect(boot({ subject: 'shop.*' })).rejects.toMatchObject(refused(/several streams capture shop\.\*: EU and US\. Name one/));
    const service = await boot({ subject: 'shop.*', stream: 'US' });
    expect((await rig.consumer('US', 'loopstack~on~Found~Late~shop,+')).config).toMatchObject({ filter_subject: 'shop.*' });
    await rig.stop(service);
  });

  it('that is named must exist', async () => {
    await expect(boot({ subject: 'shop.*', stream: 'MOON' })).rejects.toMatchObject(refused(/Stream MOON does not exist/));
  });

  it('may have a name that is not ASCII: its events are acknowledged', async () => {
    await rig.stream('KÄUFE', 'buys.*');
    const service = await boot({ subject: 'buys.*' });
    await rig.emit('buys.x', { n: 1 });
    const floor = async (): Promise<number> => (await rig.consumer('KÄUFE', 'loopstack~on~Found~Late~buys,+')).ack_floor.stream_seq;
    expect(await until('it is acknowledged', floor)).toBe(1);
    await rig.stop(service);
  });

  it.each(['loopstack.run.*.*', 'loopstack.event.*.*.*'])('is never our own: %s', async (subject) => {
    await rig.stop(await rig.service({ providers: [] }));
    await expect(boot({ subject })).rejects.toMatchObject(refused(/expected events of an application, received the stream LOOPSTACK_/));
  });

  it("is the application's own where the options allow it, shared by all services", async () => {
    const one = listener('One', { subject: 'signup.*' });
    const two = listener('Two', { subject: 'login' });
    const nats = { inbound: true };
    await Promise.all([rig.service({ providers: one.providers, nats }), rig.service({ providers: two.providers, nats })]);
    await rig.emit('signup.web', { n: 1 });
    await rig.emit('login', { n: 2 });
    await until('both', () => one.numbers.length === 1 && two.numbers.length === 1);
    const { config } = await rig.jsm.streams.info('LOOPSTACK_INBOUND');
    expect(config.subjects.toSorted()).toEqual(['login', 'signup.*']);
  });
});

import { encodeRunCommand } from '@loopstack/shared';
import { OnEvent, declaredEvents, describeStart, resolveBindings, useEvent, type EventBinding, type EventInfo } from './on-event.js';
import { Workflow, workflowOptions } from '../declare/workflow.js';

const resolve = (...given: Partial<EventBinding>[]) =>
  resolveBindings(
    'W.on',
    given.map((binding) => ({ subject: 'orders.created', ...binding })),
  );

/** The run that an event comes to. */
const start = (payload: unknown, userId = 'u'): object => ({ kind: 'start', command: encodeRunCommand({ payload, userId }), userId });

describe('resolveBindings', () => {
  it('knows every default', () => {
    expect(resolve({})).toEqual([
      { subject: 'orders.created', from: 'now', format: 'json', map: undefined, userId: undefined, when: undefined, stream: undefined },
    ]);
  });

  it.each([
    [{ subject: 'orders..x' }, 'W.on[0].subject'],
    [{ subject: 7 as never }, 'W.on[0].subject'],
    [{ map: 'payload' as never }, 'W.on[0].map'],
    [{ when: true as never }, 'W.on[0].when'],
    [{ userId: '' }, 'W.on[0].userId'],
    [{ userId: 7 as never }, 'W.on[0].userId'],
    [{ from: 'yesterday' as never }, 'W.on[0].from'],
    [{ from: 0 }, 'W.on[0].from'],
    [{ from: 1.5 }, 'W.on[0].from'],
    [{ from: new Date(Number.NaN) }, 'W.on[0].from'],
    [{ format: 'xml' as never }, 'W.on[0].format'],
  ])('%# refuses, naming the option', (binding, option) => {
    expect(() => resolve(binding)).toThrow(
      expect.objectContaining({ code: 'OPTION_INVALID', details: expect.objectContaining({ option }) }),
    );
  });

  it.each([
    ['the same subject', [{ subject: 'a.b' }, { subject: 'a.b' }], false],
    ['overlapping ones', [{ subject: 'a.*' }, { subject: '*.b' }], false],
    ['one of them on any stream', [{ subject: 'a.*', stream: 'S' }, { subject: 'a.b' }], false],
    [
      'different streams',
      [
        { subject: 'a.*', stream: 'S' },
        { subject: 'a.b', stream: 'T' },
      ],
      true,
    ],
    ['different subjects', [{ subject: 'a.b' }, { subject: 'a.c' }], true],
  ])('two bindings that one event may match: %s', (_, bindings, allowed) => {
    const attempt = (): unknown => resolve(...bindings);
    if (allowed) expect(attempt).not.toThrow();
    else expect(attempt).toThrow(/a subject that no event shares with/);
  });
});

describe('describeStart', () => {
  it.each([
    ['now', 'now'],
    ['all', 'all'],
    [new Date(0), '1970-01-01T00:00:00.000Z'],
    [42, 'sequence 42'],
  ] as const)('%j is %s', (from, text) => {
    expect(describeStart(from)).toBe(text);
  });
});

describe('@OnEvent', () => {
  it('adds to what @Workflow says, in the order of the source', () => {
    @OnEvent('a')
    @OnEvent('b', { from: 'all' })
    @Workflow({ on: [{ subject: 'c' }] })
    class Listening {
      run(): void {}
    }
    class Inheriting extends Listening {}
    expect(workflowOptions(Listening)?.on).toEqual([{ subject: 'c' }, { subject: 'a' }, { subject: 'b', from: 'all' }]);
    expect(declaredEvents(Inheriting)).toEqual([]);
  });
});

describe('useEvent', () => {
  const info: EventInfo = {
    subject: 'orders.eu.paid',
    tokens: ['eu'],
    headers: { Tenant: 'acme' },
    stream: 'ORDERS',
    sequence: 7,
    time: new Date(0),
  };
  const target = { workspace: 'W', workflow: 'F', validator: undefined };
  const use = (binding: Partial<EventBinding>, body: string) =>
    useEvent(resolve(binding)[0] as never, target, { data: Buffer.from(body, 'latin1'), info }, 8);

  it('takes the event and its field userId where nothing else is said', async () => {
    expect(await use({}, '{"userId":"u","n":1}')).toEqual(start({ userId: 'u', n: 1 }));
    expect(await use({}, '"text"')).toMatchObject({ kind: 'invalid', error: { code: 'USER_MISSING' } });
  });

  it('gives event and info to the functions', async () => {
    const map = (event: unknown, given: EventInfo): object => ({ event, ...given });
    expect(
      await use({ map, userId: (event: unknown, { headers }) => `${(event as { n: number }).n} ${headers['Tenant']}` }, '{"n":1}'),
    ).toEqual(start({ event: { n: 1 }, ...info }, '1 acme'));
  });

  it('maps only what is wanted', async () => {
    const map = (): never => {
      throw new Error('mapped');
    };
    expect(await use({ when: (event: unknown) => (event as { n: number }).n > 1, map }, '{"n":1}')).toEqual({ kind: 'skip' });
  });

  it.each([
    ['json', 'nonsense', 'BODY_NOT_JSON'],
    ['json', '{"a":1,"a":2}', 'BODY_NOT_IJSON'],
    ['json', '[[[[[[[[[]]]]]]]]]', 'BODY_TOO_DEEP'],
    ['text', '\u00ff', 'BODY_NOT_UTF8'],
  ] as const)('refuses as %s: %j', async (format, body, code) => {
    expect(await use({ format, userId: 'u' }, body)).toMatchObject({ kind: 'invalid', error: { code } });
  });

  it.each([
    ['text', 'plain', 'plain'],
    ['bytes', 'plain', Buffer.from('plain')],
    ['json', '[1]', [1]],
  ] as const)('gives the body as %s', async (format, body, payload) => {
    expect(await use({ format, userId: 'u' }, body)).toEqual(start(payload));
  });

  it('says which event could not be mapped, and why', async () => {
    const map = (): never => {
      throw new Error('no customer');
    };
    expect(await use({ map }, '{}')).toMatchObject({
      kind: 'invalid',
      error: { code: 'EVENT_INVALID', message: 'The event at 7 of stream ORDERS cannot be used by W.F: Error: no customer' },
    });
  });
});

import { encodeRunCommand, type RunEvent } from '@loopstack/shared';
import { runNotice } from '../run/run-notice.js';
import { resolveChains, useOutcome, type ResolvedChain } from './then.js';
import { Workflow, Workspace, type ChainDeclaration } from '../declare/workflow.js';

/** The run that an event comes to. */
const start = (payload: unknown, userId = 'u'): object => ({ kind: 'start', command: encodeRunCommand({ payload, userId }), userId });

@Workflow({ name: 'Ship' })
class ShipOrder {
  run(): void {}
}
@Workspace({ name: 'Logistics', workflows: [ShipOrder] })
class LogisticsWorkspace {}

const UPSTREAM = { workspace: 'Shop', workflow: 'Order' };
const resolve = (declared: readonly ChainDeclaration[], spaces: Readonly<Record<string, readonly string[]>> = { Ship: ['Logistics'] }) =>
  resolveChains(UPSTREAM, declared, (workflow) => spaces[workflow] ?? []);

describe('resolveChains', () => {
  it.each([
    ['a class', ShipOrder],
    ['a function that is read late', () => ShipOrder],
    ['a name', 'Ship'],
    ['a name in a workspace', { workflow: 'Ship', workspace: 'Logistics' }],
    ['classes', { workflow: ShipOrder, workspace: LogisticsWorkspace }],
    ['a function of options', () => ({ workflow: ShipOrder })],
  ] as const)('takes %s', (_, declared) => {
    expect(resolve([declared])).toMatchObject([
      { upstream: UPSTREAM, target: { workspace: 'Logistics', workflow: 'Ship' }, on: 'succeeded', from: 'now' },
    ]);
  });

  it.each([
    ['an unknown workspace', ['Elsewhere'], {}, /no workspace of this process lists Elsewhere/],
    ['two workspaces', ['Ship'], { Ship: ['A', 'B'] }, /A and B list Ship/],
    ['a circular import', [undefined as never], {}, /circular import/],
    ['no outcome', [{ workflow: 'Ship', workspace: 'L', on: 'started' as never }], {}, /then\[0\]\.on/],
    ['no name', [{ workflow: 'a.b', workspace: 'L' }], {}, /then\[0\]\.workflow/],
    ['a workspace that is no name', [{ workflow: 'Ship', workspace: '*' }], {}, /then\[0\]\.workspace/],
    ['the same twice', ['Ship', ShipOrder], { Ship: ['L'] }, /each workflow once/],
  ] as const)('refuses %s', (_, declared, spaces, message) => {
    expect(() => resolve(declared as never, spaces)).toThrow(
      expect.objectContaining({ code: 'OPTION_INVALID', message: expect.stringMatching(message) }),
    );
  });

  it('takes the same workflow for different outcomes', () => {
    expect(resolve(['Ship', { workflow: 'Ship', on: 'failed' }])).toHaveLength(2);
  });
});

describe('useOutcome', () => {
  const at = { stream: 'EVENTS', sequence: 7 };
  const ended = (event: Partial<RunEvent>) => runNotice(UPSTREAM, 'r1', { type: 'succeeded', at: '', attempt: 1, userId: 'u', ...event });
  const use = (declared: ChainDeclaration, event: Partial<RunEvent>) =>
    useOutcome(resolve([declared])[0] as ResolvedChain, ended(event), at, 64);

  it.each([
    ['the result', 'Ship', { result: { id: 1 } }, start({ id: 1 })],
    ['an empty payload where there is none', 'Ship', {}, start({})],
    ['nothing of another outcome', 'Ship', { type: 'failed' }, { kind: 'skip' }],
    ['nothing of a run that is under way', 'Ship', { type: 'started' }, { kind: 'skip' }],
    ['a failure', { workflow: 'Ship', on: 'failed' }, { type: 'failed' }, start({})],
    ['what is wanted', { workflow: 'Ship', when: (n: number) => n > 1 }, { result: 1 }, { kind: 'skip' }],
    ['what the mapping makes', { workflow: 'Ship', map: (n: number) => ({ n }), userId: 'v' }, { result: 1 }, start({ n: 1 }, 'v')],
  ] as const)('%s', async (_, declared, event, expected) => {
    expect(await use(declared as never, event)).toEqual(expected);
  });

  it('needs a user', async () => {
    const { userId: _, ...event } = ended({}).event;
    const chain = resolve(['Ship'])[0] as ResolvedChain;
    expect(await useOutcome(chain, runNotice(UPSTREAM, 'r1', event), at, 64)).toMatchObject({
      kind: 'invalid',
      error: { code: 'USER_MISSING' },
    });
  });

  it('says which run could not be used, and why', async () => {
    const map = (): never => {
      throw new Error('no address');
    };
    expect(await use({ workflow: 'Ship', map }, {})).toMatchObject({
      kind: 'invalid',
      error: { message: 'The event at 7 of stream EVENTS cannot be used by Shop.Order then Logistics.Ship: Error: no address' },
    });
  });
});

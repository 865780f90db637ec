import type { LoopstackClient } from '@loopstack/client';
import {
  HEADER,
  encodeRunCommand,
  newRunId,
  runIdOrigin,
  sequenceRunId,
  type RunAddress,
  type RunReference,
} from '@loopstack/shared/contract';
import { headers as natsHeaders } from 'nats';
import { Rig, codeOf, errorOf, names } from './rig.js';

const MINE: RunAddress = { workspace: 'Payments', workflow: 'Pay' };
const THEIRS: RunAddress = { workspace: 'Orders', workflow: 'Steal' };

describe('ids that several runs share', () => {
  const rig = Rig.use('all');
  let client: LoopstackClient;
  let ids = 0;
  beforeAll(async () => {
    client = rig.client();
    // Other runs, so that nothing is found for want of others.
    await Promise.all(Array.from({ length: 200 }, (_, n) => client.run('Other', 'Others', { n }, 'u1')));
  });

  async function store(address: RunAddress, id: string | undefined): Promise<number> {
    const headers = natsHeaders();
    if (id !== undefined) headers.set(HEADER.RUN_ID, id);
    const data = encodeRunCommand({ payload: {}, userId: address.workspace });
    return (await rig.nc.request(names.run(address), data, { headers, timeout: 5000 })).json<{ seq: number }>().seq;
  }

  /** A run of mine that is queued, under each kind of id. */
  const mine: readonly (readonly [string, () => Promise<string>])[] = [
    ['an id of ours', async () => (await client.run(MINE.workflow, MINE.workspace, {}, 'me')).id],
    ['a key', async () => (await client.run(MINE.workflow, MINE.workspace, {}, 'me', { idempotencyKey: `k${++ids}` })).id],
    ['a delay', async () => (await client.run(MINE.workflow, MINE.workspace, {}, 'me', { delay: '1h' })).id],
    [
      'an id of another producer',
      async () => {
        const id = `order-${++ids}`;
        await store(MINE, id);
        return id;
      },
    ],
    [
      'no id',
      async () => {
        const seq = await store(MINE, undefined);
        const stored = await (await rig.nc.jetstreamManager()).streams.getMessage(names.streams.runs, { seq });
        return sequenceRunId(stored.time.getTime(), seq);
      },
    ],
  ];
  const theirs: readonly (readonly [string, (id: string) => Promise<unknown>])[] = [
    ['queued', (id) => store(THEIRS, id)],
    [
      'executed',
      async (id) => {
        const sequence = await store(THEIRS, id);
        await rig.record(id, { type: 'started', sequence }, 0, THEIRS);
        await rig.record(id, { type: 'succeeded', sequence, result: 'theirs' }, undefined, THEIRS);
      },
    ],
    ['a forged outcome', (id) => rig.record(id, { type: 'succeeded', result: 'forged' }, 0, THEIRS)],
    ['a forged cancel', (id) => rig.record(id, { type: 'canceled' }, 0, THEIRS)],
    ['a forged claim', (id) => rig.record(id, { type: 'queued', attempt: 0, sequence: 1 }, 0, THEIRS)],
  ];
  const table = mine.flatMap(([kind, make]) => theirs.map(([what, forge]) => [kind, what, make, forge] as const));

  it.each(table)('an id shared by two runs needs an address (%s; theirs is %s)', async (_, what, make, forge) => {
    const id = await make();
    await forge(id);
    const history = async (): Promise<string[]> => {
      const { state } = await rig.api<{ state: { subjects?: Record<string, number> } }>(`STREAM.INFO.${names.streams.events}`, {
        subjects_filter: `loopstack.*.*.*.${id}`,
      });
      return Object.entries(state.subjects ?? {}).map(([subject, count]) => `${subject} ${count}`);
    };
    const before = await history();
    // Nobody knows an id that is derived from a sequence but by that: what is queued under it elsewhere is another one's copy.
    const isCopy = what === 'queued' && runIdOrigin(id) === 'sequence';
    if (!isCopy) {
      for (const ask of [() => client.get(id), () => client.cancel(id)]) {
        const error = await errorOf(ask());
        expect(error).toMatchObject({ code: 'RUN_AMBIGUOUS', statusCode: 409 });
        expect(error.message).toContain(`Orders.Steal.${id} and Payments.Pay.${id}`);
        expect(error.fix).toContain('{ workspace, workflow, id }');
      }
      expect(await history()).toEqual(before);
    } else expect(await client.get(id)).toMatchObject(MINE);
    const reference: RunReference = { ...MINE, id };
    expect(await client.get(reference)).toMatchObject({ ...reference, status: 'queued' });
    expect(await client.get(id, MINE)).toMatchObject(reference);
    expect(await client.cancel(reference)).toMatchObject({ ...reference, status: 'canceled' });
    const now = await history();
    expect(now.filter((line) => line.includes('Orders'))).toEqual(before.filter((line) => line.includes('Orders')));
    expect(now).toContain(`${names.cancel(MINE, id)} 1`);
    // What list() tells can be acted on as it is.
    const [listed] = await client.list(MINE);
    expect(await client.get(listed as RunReference)).toMatchObject({ ...reference, status: 'canceled' });
  });

  it.each(mine)('(%s) names nothing at an address where it has no run', async (_, make) => {
    const id = await make();
    expect(await codeOf(client.get({ ...THEIRS, id }))).toBe('RUN_UNKNOWN');
    expect(await codeOf(client.cancel({ ...THEIRS, id }))).toBe('RUN_UNKNOWN');
    expect(await codeOf(client.handle(THEIRS, id).cancel())).toBe('RUN_UNKNOWN');
    expect(await client.cancel(id)).toMatchObject({ ...MINE, id, status: 'canceled' });
    expect(await client.get(id)).toMatchObject({ ...MINE, id, status: 'canceled' });
  });

  it('an id at many addresses gets a short error', async () => {
    const id = newRunId();
    await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        rig.record(id, { type: 'succeeded' }, 0, { workspace: `W${String(n).padStart(2, '0')}`, workflow: 'F' }),
      ),
    );
    const error = await errorOf(client.get(id));
    expect(error.message).toContain(`W00.F.${id} and W01.F.${id}`);
    expect(error.message).toContain('and 35 more');
    expect(error.message.length).toBeLessThan(500);
  });

  it('a copied id belongs to the run with events', async () => {
    const run = await client.run(MINE.workflow, MINE.workspace, {}, 'me');
    await rig.record(run.id, { type: 'started', sequence: run.sequence }, 0, MINE);
    await store(THEIRS, run.id);
    expect(await client.get(run.id)).toMatchObject({ ...MINE, status: 'running', userId: 'me' });
  });

  it.each([
    [{ workspace: 'Payments', id: 'x' }],
    [{ id: 'x' }],
    [{ ...MINE }],
    [{ ...MINE, id: '*' }],
    [{ ...MINE, id: 'a.b' }],
    [{ workspace: '*', workflow: 'Pay', id: 'x' }],
    [null],
    [undefined],
    [5],
  ])('an invalid reference is refused (%j)', async (wrong) => {
    expect(await codeOf(client.get(wrong as never))).toBe('NAME_INVALID');
    expect(await codeOf(client.cancel(wrong as never))).toBe('NAME_INVALID');
  });
});

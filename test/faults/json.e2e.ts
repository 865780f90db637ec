import { Workflow, Workspace, type RunContext } from '@loopstack/core';
import { headers, type NatsConnection } from 'nats';
import { readFileSync } from 'node:fs';
import { harness } from '../rig/harness.js';
import { until } from '../until.js';

/** What workers took, by the name of its file. */
const taken = new Map<string, unknown>();

@Workflow({ title: 'Takes any JSON' })
class Take {
  run(payload: unknown, { headers: given }: RunContext): void {
    taken.set(given['x-file'] as string, payload);
  }
}

@Workspace({ workflows: [Take] })
class Parser {}

const suite = JSON.parse(readFileSync(new URL('json-test-suite.json', import.meta.url), 'utf8')) as { files: Record<string, string> };
const files = new Map<string, Buffer>([
  ...Object.entries(suite.files).map(([name, text]) => [name, Buffer.from(text, 'base64')] as const),
  ['n_structure_100000_opening_arrays', Buffer.from('['.repeat(100_000))],
  ['n_structure_open_array_object', Buffer.from('[{"":'.repeat(50_000))],
]);

/** I-JSON (RFC 7493) demands unique keys: which of two counts is not told. */
const AMBIGUOUS = ['y_object_duplicated_key', 'y_object_duplicated_key_and_value'];

/** What parsers may do as they like. These are taken; the rest is no UTF-8, no I-JSON, beyond a double, too deep, or has a BOM. */
const TAKEN = ['i_number_double_huge_neg_exp', 'i_number_real_underflow', 'i_number_too_big_pos_int'];

const names = [...files.keys()];
const good = [...names.filter((name) => name.startsWith('y_') && !AMBIGUOUS.includes(name)), ...TAKEN];

describe('JSONTestSuite as payloads', () => {
  const rig = harness();
  let nc: NatsConnection;
  const dead = new Set<string>();

  beforeAll(async () => {
    await rig.startServer();
    await rig.startApp([Take, Parser]);
    nc = await rig.connect();
    nc.subscribe('loopstack.dead.Parser.Take', { callback: (_, message) => dead.add(message.headers?.get('x-file') as string) });
    for (const [name, text] of files) {
      const set = headers();
      set.set('x-file', name);
      const body = Buffer.concat([Buffer.from('{"userId":"u","payload":'), text, Buffer.from('}')]);
      await nc.jetstream().publish('loopstack.run.Parser.Take', body, { headers: set });
    }
    await until('every file is taken or a dead letter', () => taken.size + dead.size === files.size);
  });

  it('valid payloads arrive as JSON.parse reads them', () => {
    expect(good).toHaveLength(96);
    expect([...taken.keys()].toSorted()).toEqual(good.toSorted());
    for (const name of good) expect([name, taken.get(name)]).toEqual([name, JSON.parse((files.get(name) as Buffer).toString('utf8'))]);
  });

  it('every other payload becomes a dead letter', () => {
    expect([...dead].toSorted()).toEqual(names.filter((name) => !good.includes(name)).toSorted());
    expect(dead.size).toBe(222);
  });
});

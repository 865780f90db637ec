import { Parser } from '@asyncapi/parser';
import { asyncApi, DEAD_LETTER_HEADERS, jsonSchemas, RUN_EVENT, type AsyncApiDocument } from '@loopstack/contract';
import { LoopstackClient } from '@loopstack/client';
import { schemaCheck } from '@loopstack/nats';
import { NonRetryableError, Workflow, Workspace, type RunContext } from '@loopstack/core';
import { decodeRunEvent, isOutcome, wireNames, type CatalogueEntry, type JsonSchema } from '@loopstack/shared/contract';
import { Type } from 'class-transformer';
import { ArrayMaxSize, IsArray, IsIn, IsInt, IsOptional, IsString, Length, Max, Min, ValidateNested } from 'class-validator';
import { headers as newHeaders, type NatsConnection } from 'nats';
import { execFile } from 'node:child_process';
import { readFile, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { harness } from './rig/harness.js';
import { until } from './until.js';

const exec = promisify(execFile);
const checkout = fileURLToPath(new URL('..', import.meta.url));
const names = wireNames();

class Line {
  @IsString() @Length(1, 8) sku!: string;
  @IsInt() @Min(1) @Max(9) quantity!: number;
}

class Basket {
  @IsString() @Length(1, 8) id!: string;
  @IsArray() @ArrayMaxSize(2) @ValidateNested({ each: true }) @Type(() => Line) lines!: Line[];
  @IsOptional() @IsIn(['post', 'van']) by?: string;
}

class Whim {
  @IsOptional() @IsIn(['progress', 'retry', 'fail']) then?: string;
}

@Workflow({ title: 'Pack a basket', payload: Basket, priorities: true })
class Pack {
  run({ id }: Basket): string {
    return id;
  }
}

@Workflow({ payload: Whim, record: 'full', retry: { attempts: 2, delay: '20ms' } })
class Obey {
  async run({ then }: Whim, ctx: RunContext): Promise<void> {
    if (then === 'progress') await ctx.progress({ percent: 50 });
    if (then === 'retry') throw new Error('again');
    if (then === 'fail') throw new NonRetryableError('never, "naïve" one');
  }
}

@Workflow({})
class Anything {
  run(): void {}
}

@Workspace({ workflows: [Pack, Obey, Anything] })
class Depot {}

const check = schemaCheck();
const valid = (schema: JsonSchema, value: unknown): boolean => check(schema, value).length === 0;

const line = { sku: 'tea', quantity: 1 };
const basket = { id: 'b', lines: [line] };

/** Bodies for `Depot.<workflow>`, and whether its worker takes them. */
const BODIES: readonly (readonly [workflow: string, what: string, body: unknown, good: boolean])[] = [
  ['Pack', 'all that it needs', { userId: 'u', payload: basket }, true],
  ['Pack', 'an optional field', { userId: 'u', payload: { ...basket, by: 'van' } }, true],
  ['Pack', 'an empty list', { userId: 'u', payload: { id: 'b', lines: [] } }, true],
  ['Pack', 'a text at its limit', { userId: 'u', payload: { ...basket, id: '12345678' } }, true],
  ['Pack', 'a text over its limit', { userId: 'u', payload: { ...basket, id: '123456789' } }, false],
  ['Pack', 'an empty text', { userId: 'u', payload: { ...basket, id: '' } }, false],
  ['Pack', 'a number for a text', { userId: 'u', payload: { ...basket, id: 1 } }, false],
  ['Pack', 'no such choice', { userId: 'u', payload: { ...basket, by: 'air' } }, false],
  ['Pack', 'an unknown field', { userId: 'u', payload: { ...basket, extra: 1 } }, false],
  ['Pack', 'an unknown field of a part', { userId: 'u', payload: { id: 'b', lines: [{ ...line, extra: 1 }] } }, false],
  ['Pack', 'a number of a part over its limit', { userId: 'u', payload: { id: 'b', lines: [{ sku: 'tea', quantity: 10 }] } }, false],
  ['Pack', 'a fraction for an integer', { userId: 'u', payload: { id: 'b', lines: [{ sku: 'tea', quantity: 1.5 }] } }, false],
  ['Pack', 'too many parts', { userId: 'u', payload: { id: 'b', lines: [line, line, line] } }, false],
  ['Pack', 'a part that is none', { userId: 'u', payload: { id: 'b', lines: ['tea'] } }, false],
  ['Pack', 'a missing field', { userId: 'u', payload: { id: 'b' } }, false],
  ['Pack', 'no payload', { userId: 'u' }, false],
  ['Pack', 'a payload that is null', { userId: 'u', payload: null }, false],
  ['Pack', 'a payload that is a list', { userId: 'u', payload: [basket] }, false],
  ['Pack', 'no user', { payload: basket }, false],
  ['Pack', 'an empty user', { userId: '', payload: basket }, false],
  ['Pack', 'a user that is too long', { userId: 'u'.repeat(257), payload: basket }, false],
  ['Pack', 'an unknown field beside the payload', { userId: 'u', payload: basket, priority: 'high' }, false],
  ['Pack', 'a text for a command', 'run', false],
  ['Obey', 'no payload where none is needed', { userId: 'u' }, true],
  ['Obey', 'an empty payload', { userId: 'u', payload: {} }, true],
  ['Obey', 'an unknown field', { userId: 'u', payload: { now: true } }, false],
  ['Anything', 'no payload', { userId: 'u' }, true],
  ['Anything', 'a payload that is null', { userId: 'u', payload: null }, true],
  ['Anything', 'a payload that is a list', { userId: 'u', payload: [1, 'two'] }, true],
];

const ce = { specversion: '1.0', source: '/shop', type: 'basket', userid: 'u' };
const ceHeaders = { 'ce-specversion': '1.0', 'ce-source': '/shop', 'ce-type': 'basket', 'ce-userid': 'u' };

/** The other forms of a command, as [message, headers, body, good]. */
const FORMS: readonly (readonly [string, Readonly<Record<string, string>>, unknown, boolean])[] = [
  ['command', {}, { userId: 'u', payload: basket }, true],
  ['nestPacket', {}, { pattern: 'any', data: { userId: 'u', payload: basket } }, true],
  ['nestPacket', {}, { pattern: 'any', data: { userId: 'u', payload: {} } }, false],
  ['cloudEvent', {}, { ...ce, id: '1', data: basket }, true],
  ['cloudEvent', {}, { ...ce, id: '2', data: { id: 'b' } }, false],
  ['cloudEvent', {}, { ...ce, data: basket }, false],
  ['cloudEvent', {}, { ...ce, id: '3', data: basket, data_base64: 'e30=' }, false],
  ['cloudEventBinary', { ...ceHeaders, 'ce-id': '4' }, basket, true],
  ['cloudEventBinary', ceHeaders, basket, false],
  ['cloudEventBinary', { ...ceHeaders, 'ce-id': '5' }, { id: 'b' }, false],
];

describe('the contract made from the catalogue of a worker', () => {
  const rig = harness();
  let client: LoopstackClient;
  let nc: NatsConnection;
  let entries: readonly CatalogueEntry[];
  let asyncapi: AsyncApiDocument;
  let ids = 0;

  beforeAll(async () => {
    await rig.startServer();
    await rig.startApp([Pack, Obey, Anything, Depot]);
    nc = await rig.connect();
    client = rig.closeAtEnd(new LoopstackClient(nc));
    entries = await until('the catalogue is published', async () => {
      const found = await client.catalogue.list().catch(() => []);
      return found.length === 3 ? found : undefined;
    });
    asyncapi = asyncApi(entries, names);
  });

  /** Publishes bytes as any service may, and tells whether the run succeeded. */
  async function runs(workflow: string, body: unknown, given: Readonly<Record<string, string>> = {}): Promise<boolean> {
    const id = `contract-${ids++}`;
    const headers = newHeaders();
    for (const [name, value] of Object.entries({ ...given, 'Loopstack-Run-Id': id })) headers.set(name, value);
    const events = nc.subscribe(names.event({ workspace: 'Depot', workflow }, id));
    await nc.request(names.run({ workspace: 'Depot', workflow }), JSON.stringify(body), { headers, timeout: 20_000 });
    for await (const { data } of events) {
      const event = decodeRunEvent(data);
      if (event && isOutcome(event.type)) return event.type === 'succeeded';
    }
    throw new Error('the connection was closed');
  }

  it.each(BODIES)('the JSON Schema of %s judges as the worker does: %s', async (workflow, _, body, good) => {
    const schema = jsonSchemas(entries)[`Depot.${workflow}.schema.json`] as JsonSchema;
    expect({ schema: valid(schema, body), worker: await runs(workflow, body) }).toEqual({ schema: good, worker: good });
  });

  it.each(FORMS)('AsyncAPI describes the form %s as the worker takes it: %j %j', async (form, headers, body, good) => {
    const message = asyncapi.components.messages[`Depot.Pack.${form}`] as { payload: JsonSchema; headers: JsonSchema };
    // References lead into the document, so a reader has to have all of it.
    const whole = (schema: JsonSchema): JsonSchema => ({ ...schema, components: asyncapi.components });
    expect({
      schema: valid(whole(message.payload), body) && valid(whole(message.headers), { 'Loopstack-Run-Id': 'r1', ...headers }),
      worker: await runs('Pack', body, headers),
    }).toEqual({ schema: good, worker: good });
  });

  it('names channels as the subjects are', () => {
    const addresses = Object.values(asyncapi.channels).map((channel) => (channel as { address: string }).address);
    expect(addresses.filter((address) => address.includes('Pack'))).toEqual([
      'loopstack.run.Depot.Pack',
      'loopstack.lane.{lane}.Depot.Pack',
      'loopstack.event.Depot.Pack.{runId}',
      'loopstack.dead.Depot.Pack',
    ]);
  });

  describe('describes what is recorded', () => {
    beforeAll(async () => {
      for (const then of ['progress', 'retry', 'fail']) await runs('Obey', { userId: 'Ünal', payload: { then } });
      await runs('Pack', { userId: 'u', payload: {} });
    });

    const stored = async (stream: string): Promise<{ data: Uint8Array; headers: Record<string, string> }[]> => {
      const api = await nc.jetstreamManager();
      const { state } = await api.streams.info(stream);
      const messages = [];
      for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
        const { data, header } = await api.streams.getMessage(stream, { seq });
        messages.push({ data, headers: Object.fromEntries([...header].map(([name, values]) => [name, values[0] as string])) });
      }
      return messages;
    };

    it('in events: all that they hold is described, and their type comes first', async () => {
      const events = (await stored(names.streams.events)).map(({ data }) => Buffer.from(data).toString('utf8'));
      const seen = new Set(events.map((text) => (JSON.parse(text) as { type: string }).type));
      expect([...seen]).toEqual(expect.arrayContaining(['started', 'progress', 'retrying', 'succeeded', 'failed']));
      const closed = { ...RUN_EVENT, additionalProperties: false };
      expect(events.filter((text) => !valid(closed, JSON.parse(text)) || !text.startsWith('{"type":"'))).toEqual([]);
    });

    it('in headers of dead letters: all that are ours are described', async () => {
      const letters = (await stored(names.streams.dead)).map(({ headers }) => headers);
      expect(new Set(letters.map((headers) => headers['Loopstack-Dead-Reason']))).toEqual(new Set(['invalid', 'failed']));
      const known = Object.keys(DEAD_LETTER_HEADERS['properties'] as object);
      for (const headers of letters) {
        expect(check(DEAD_LETTER_HEADERS, headers)).toEqual([]);
        expect(Object.keys(headers).filter((name) => name.startsWith('Loopstack-Dead-') && !known.includes(name))).toEqual([]);
      }
    });

    it.each([{ type: 'done' }, { attempt: -1 }, { at: 'noon' }, { error: { code: 'X' } }])('and not an event with %j', (wrong) => {
      const event = { type: 'failed', at: '2026-01-31T00:00:00.000Z', attempt: 1 };
      expect([valid(RUN_EVENT, event), valid(RUN_EVENT, { ...event, ...wrong })]).toEqual([true, false]);
    });
  });
});

const PROGRAM = `
import { LoopstackClient } from '@loopstack/client';
import { workflows } from './workflows.js';

const client = await LoopstackClient.connect({ servers: process.argv[2] });
const { MyWorkspace, OrdersWorkspace } = workflows(client);
const run = await MyWorkspace.MyWorkflow<{ words: number }>({ message: 'three words here' }, 'user-1');
const { words } = await run.result();
console.log(words);
await client.close();

export const refused = [
  // @ts-expect-error a field is missing
  () => MyWorkspace.MyWorkflow({}, 'user-1'),
  // @ts-expect-error no such choice
  () => OrdersWorkspace.ProcessOrderWorkflow({ orderId: 'o', orderData: { items: [] }, priority: 'first' }, 'user-1'),
  // @ts-expect-error a part has another type
  () => OrdersWorkspace.ProcessOrderWorkflow({ orderId: 'o', orderData: { items: [{ sku: 1, quantity: 1, unitPriceCents: 1 }] } }, 'user-1'),
  // @ts-expect-error no user
  () => MyWorkspace.MyWorkflow({ message: 'x' }),
  // @ts-expect-error no such workflow
  () => MyWorkspace.Other({ message: 'x' }, 'user-1'),
];
`;

describe('npm run contract, of the reference worker', () => {
  const rig = harness();
  let folder: string;

  const contract = (...args: readonly string[]): Promise<{ stdout: string }> =>
    exec('npm', ['run', '--silent', 'contract', '--', '--server', rig.url, '--out', join(folder, 'contract'), ...args], {
      cwd: checkout,
    });

  beforeAll(async () => {
    folder = await rig.makeFolder('contract');
    await rig.startServer();
    await rig.startHttpWorker();
    const client = await rig.connectClient();
    await until('the catalogue is published', async () => (await client.catalogue.list().catch(() => [])).length === 5);
    await client.close();
  });

  it('writes only what is asked for', async () => {
    await contract('--schemas');
    expect(await readdir(join(folder, 'contract'))).toEqual(['schemas']);
    expect((await readdir(join(folder, 'contract/schemas'))).toSorted()).toEqual([
      'ApplicationsWorkspace.ProcessApplicationWorkflow.schema.json',
      'MainWorkspace.ProcessWebhookWorkflow.schema.json',
      'MyWorkspace.MyWorkflow.schema.json',
      'OrdersWorkspace.ProcessOrderWorkflow.schema.json',
      'ReportsWorkspace.DailyReportWorkflow.schema.json',
    ]);
  });

  it('writes an AsyncAPI document in which its official parser finds no error', async () => {
    await contract();
    const text = await readFile(join(folder, 'contract/asyncapi.json'), 'utf8');
    const { document, diagnostics } = await new Parser().parse(text);
    expect(diagnostics.filter(({ severity }) => [0, 1].includes(severity))).toEqual([]);
    expect(document?.channels().all()).toHaveLength(20);
    const broken = text
      .replace('"action": "receive"', '"action": "take"')
      .replace('#/components/schemas/runEvent"', '#/components/schemas/none"');
    expect((await new Parser().parse(broken)).document).toBeUndefined();
  }, 180_000);

  it('writes a typed client that compiles, refuses what is wrong, and starts a run', async () => {
    await contract('--typescript');
    await symlink(join(checkout, 'node_modules'), join(folder, 'node_modules'));
    await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
    await writeFile(join(folder, 'contract/program.ts'), PROGRAM);
    const options = ['--strict', '--target', 'es2023', '--module', 'nodenext', '--types', 'node', '--skipLibCheck', '--outDir', 'out'];
    const tsc = join(checkout, 'node_modules/typescript/bin/tsc');
    await exec(process.execPath, [tsc, ...options, 'contract/program.ts'], { cwd: folder });
    const { stdout } = await exec(process.execPath, ['out/program.js', rig.url], { cwd: folder });
    expect(stdout).toBe('3\n');
  }, 180_000);
});

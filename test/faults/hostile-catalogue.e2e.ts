import { LoopstackClient } from '@loopstack/client';
import { schemaCheck } from '@loopstack/nats';
import { RunService, Workflow, Workspace } from '@loopstack/core';
import { jest } from '@jest/globals';
import { Logger, type INestMicroservice, type Type } from '@nestjs/common';
import { IsInt, IsOptional, IsString, Matches } from 'class-validator';
import { type NatsConnection } from 'nats';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CliRig } from '../cli/rig.js';
import { until } from '../until.js';

class Parcel {
  @IsString() to!: string;
  @IsInt() grams!: number;
}

const SHIP = { type: 'object', required: ['to'], properties: { to: { type: 'string' } } };
/** Too deep for JSON.stringify. */
const DEEP = `{"workspace":"Depot","workflow":"Deep","payload":${'{"items":'.repeat(20_000)}{}${'}'.repeat(20_000)}}`;

/** Entries of the catalogue that no worker writes, by the workflow that they are of, and what a warning says of them. */
const ENTRIES: Readonly<Record<string, readonly [entry: unknown, told: RegExp]>> = {
  BadExpression: [{ payload: { ...SHIP, properties: { to: { pattern: '(' } } } }, /to \(pattern: it is no expression\)/],
  OldExpression: [{ payload: { ...SHIP, properties: { to: { pattern: '^[\\w-.]+$' } } } }, /to \(pattern/],
  GoneReference: [{ payload: { ...SHIP, properties: { to: { $ref: '#/$defs/Gone' } } } }, /to \(\$ref: it leads nowhere\)/],
  FarReference: [{ payload: { ...SHIP, properties: { to: { $ref: 'http://127.0.0.1:1/a.json' } } } }, /to \(\$ref: it leads out/],
  Circle: [{ payload: { $ref: '#/$defs/A', $defs: { A: { allOf: [{ $ref: '#/$defs/A' }] } } } }, /\$ref: it leads in circles/],
  Huge: [
    { payload: { properties: Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`p${i}`, { type: 'string' }])) } },
    /more than 3000 parts/,
  ],
  Deep: [DEEP, /nested deeper/],
  Slow: [{ payload: { properties: { to: { pattern: '^(a+)+$' } } } }, /longer than 250 ms/],
  WrongTypes: [{ payload: { type: 'parcel', properties: 5, required: 'to' }, attempts: 'x', title: 7 }, /type: it is a string/],
  NoSchema: [{ payload: [1] }, /schema: it is a list/],
  NullSchema: [{ payload: null }, /schema: it is null/],
  NoEntry: [[], /schema: it is a string/],
  NoJson: ['{"workspace":', /schema: it is a string/],
  Stranger: [{ workspace: 'Other', workflow: 'Ship', payload: SHIP }, /schema: it is a string/],
};
const NAMES = Object.keys(ENTRIES);
const PAYLOAD = { to: `${'a'.repeat(60)}!`, grams: 1 };

@Workflow({ payload: Parcel })
class Ship {
  run({ grams }: Parcel): number {
    return grams;
  }
}

const hostile = NAMES.map((name): Type<{ run(): string }> => {
  class Taker {
    run(): string {
      return name;
    }
  }
  Workflow({ name })(Taker);
  return Taker;
});

@Workspace({ workflows: [Ship, ...hostile] })
class Depot {}

describe('a catalogue with foreign entries', () => {
  const rig = CliRig.use('all');
  let producer: INestMicroservice;
  let client: LoopstackClient;
  let nc: NatsConnection;
  const told: string[] = [];

  beforeAll(async () => {
    await rig.startApp([Ship, ...hostile, Depot]);
    producer = await rig.startApp([]);
    client = await rig.connectClient({
      checkCatalogue: true,
      checkSchema: schemaCheck({ warn: (text) => told.push(text) }),
    });
    nc = await rig.connect();
    await until('the catalogue is published', async () => (await client.catalogue.list().catch(() => [])).length === NAMES.length + 1);
    for (const [workflow, [entry]] of Object.entries(ENTRIES)) {
      const whole = typeof entry === 'string' || Array.isArray(entry) ? entry : { workspace: 'Depot', workflow, ...(entry as object) };
      await nc.jetstream().publish(`$KV.LOOPSTACK_CATALOGUE.Depot.${workflow}`, typeof whole === 'string' ? whole : JSON.stringify(whole));
    }
  });

  it.each(NAMES)('the schema of %s is left to the worker', async (name) => {
    const before = told.length;
    for (let i = 0; i < 3; i++) expect(await (await client.run(name, 'Depot', PAYLOAD, 'u')).result()).toBe(name);
    const [, warning] = ENTRIES[name] as (typeof ENTRIES)[string];
    expect(told.slice(before)).toEqual([expect.stringMatching(warning)]);
    expect(told.at(-1)).toContain(`Depot.${name} `);
    expect(await (await producer.get(RunService).run(name, 'Depot', PAYLOAD, 'u')).result()).toBe(name);
  });

  it('schemas of other workflows still refuse payloads', async () => {
    const refused = expect.objectContaining({ code: 'PAYLOAD_INVALID' }) as Error;
    await expect(client.run('Ship', 'Depot', { to: 5, grams: 1 }, 'u')).rejects.toEqual(refused);
    await expect(producer.get(RunService).run('Ship', 'Depot', { to: 'a' }, 'u')).rejects.toEqual(refused);
    await expect(client.run('Shop', 'Depot', {}, 'u')).rejects.toMatchObject({ code: 'WORKFLOW_UNKNOWN' });
  });

  it('foreign entries stop neither replays nor contracts', async () => {
    const tried = await rig.loopstack('replay', 'start', '--workspace', 'Depot', '--dry-run');
    expect({ exit: tried.code, out: tried.stdout }).toMatchObject({
      exit: 0,
      out: expect.stringContaining('would be published') as string,
    });
    const out = await mkdtemp(join(tmpdir(), 'loopstack-contract-'));
    try {
      const written = await rig.loopstack('contract', '--out', out);
      expect([written.code, written.stderr]).toEqual([0, expect.stringMatching(/warning: .*Depot\.BadExpression .*pattern/)]);
      const asyncapi = await readFile(join(out, 'asyncapi.json'), 'utf8');
      for (const name of ['Ship', 'BadExpression', 'Huge']) expect(asyncapi).toContain(`loopstack.run.Depot.${name}`);
      expect(await readFile(join(out, 'workflows.ts'), 'utf8')).toMatch(/namespace Ship \{[^]*to: string/);
    } finally {
      await rm(out, { recursive: true });
    }
  });
});

describe('a worker with an uncheckable schema', () => {
  it('a worker warns of its uncheckable schema and runs', async () => {
    class Wide {}
    for (let i = 0; i < 4000; i++) {
      IsOptional()(Wide.prototype, `p${i}`);
      Matches(/^a$/)(Wide.prototype, `p${i}`);
    }
    @Workflow({ payload: Wide })
    class Take {
      run(): string {
        return 'done';
      }
    }
    @Workspace({ workflows: [Take] })
    class Large {}
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const rig = await CliRig.start();
    const worker = await rig.startApp([Take, Large]);
    try {
      await until('it is said', () => warn.mock.calls.some(([text]) => /Large\.Take .*more than 3000 parts/.test(String(text))));
      expect(await (await worker.get(RunService).run('Take', 'Large', { p1: 'a' }, 'u')).result()).toBe('done');
    } finally {
      warn.mockRestore();
      await rig.end();
    }
  });
});

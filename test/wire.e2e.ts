import { ClientNats } from '@nestjs/microservices';
import { DeadLetters } from '@loopstack/nats';
import { RunService, Workflow, Workspace, type RunContext } from '@loopstack/core';
import { type NatsServer } from '@loopstack/nats-server';
import { jest } from '@jest/globals';
import { Injectable, Logger, type INestMicroservice } from '@nestjs/common';
import { Type } from 'class-transformer';
import { ArrayMaxSize, IsArray, IsInt, IsString, Min, ValidateNested } from 'class-validator';
import { connect as connectTcp } from 'node:net';
import { headers, type NatsConnection } from 'nats';
import { firstValueFrom } from 'rxjs';
import { harness } from './rig/harness.js';
import { until } from './until.js';

class Item {
  @IsString() sku!: string;
  @IsInt() @Min(1) quantity!: number;
}

class Order {
  @IsString() orderId!: string;
  @IsArray() @ArrayMaxSize(100) @ValidateNested({ each: true }) @Type(() => Item) items!: Item[];
}

interface Seen {
  readonly orderId: string;
  readonly userId: string;
  readonly runId: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly typed: boolean;
}

const seen: Seen[] = [];

@Injectable()
class Ledger {
  note(entry: Seen): void {
    seen.push(entry);
  }
}

@Workflow({ payload: Order, retry: { attempts: 3, delay: '10ms' } })
class ProcessOrder {
  constructor(private readonly ledger: Ledger) {}

  run(payload: Order, { userId, runId, headers: given }: RunContext): { total: number } {
    this.ledger.note({
      orderId: payload.orderId,
      userId,
      runId,
      headers: given,
      typed: payload instanceof Order && payload.items[0] instanceof Item,
    });
    return { total: payload.items.reduce((sum, { quantity }) => sum + quantity, 0) };
  }
}

@Workspace({ workflows: [ProcessOrder] })
class Orders {}

const SUBJECT = 'loopstack.run.Orders.ProcessOrder';
const order = (orderId: string): object => ({ orderId, items: [{ sku: 'a', quantity: 2 }] });
const ran = (orderId: string): Promise<Seen> => until(`${orderId} has run`, () => seen.find((entry) => entry.orderId === orderId));

describe('a run command on the wire', () => {
  const rig = harness();
  let server: NatsServer;
  let app: INestMicroservice;
  let nc: NatsConnection;

  beforeAll(async () => {
    server = await rig.startServer();
    app = await rig.startApp([Ledger, ProcessOrder, Orders]);
    nc = await rig.connect();
  });

  it('runs when it is written by hand on a socket, with nothing but the NATS protocol', async () => {
    const body = JSON.stringify({ userId: 'u-raw', payload: order('raw') });
    const socket = connectTcp(server.port, '127.0.0.1');
    socket.write(`CONNECT {"verbose":false,"pedantic":false}\r\nPUB ${SUBJECT} ${Buffer.byteLength(body)}\r\n${body}\r\nPING\r\n`);
    expect(await ran('raw')).toMatchObject({ userId: 'u-raw', typed: true });
    socket.destroy();
  });

  it('runs when the nats client publishes it, with headers that the workflow sees', async () => {
    const given = headers();
    given.set('X-Tenant', 'acme');
    const ack = await nc.jetstream().publish(SUBJECT, JSON.stringify({ userId: 'u-client', payload: order('client') }), { headers: given });
    const entry = await ran('client');
    expect(entry).toMatchObject({ userId: 'u-client', headers: { 'X-Tenant': 'acme' } });
    // Without a run id of its own, the run is named by where the stream has it.
    const info = await app.get(RunService).get(entry.runId);
    expect(info).toMatchObject({ workspace: 'Orders', workflow: 'ProcessOrder', sequence: ack.seq });
  });

  it("runs when Nest's own NATS client emits it", async () => {
    const client = new ClientNats({ servers: [rig.url] });
    await client.connect();
    await firstValueFrom(client.emit(SUBJECT, { userId: 'u-nest', payload: order('nest') }), { defaultValue: undefined });
    expect(await ran('nest')).toMatchObject({ userId: 'u-nest', typed: true });
    await client.close();
  });

  it('runs as a CloudEvent in structured mode', async () => {
    const event = { specversion: '1.0', id: 'e-1', source: '/shop', type: 'order.placed', userid: 'u-ce', data: order('ce-structured') };
    await nc.jetstream().publish(SUBJECT, JSON.stringify(event));
    expect(await ran('ce-structured')).toMatchObject({ userId: 'u-ce' });
  });

  it('runs as a CloudEvent in binary mode, and once for two events with one source and id', async () => {
    const given = headers();
    for (const [name, value] of Object.entries({ specversion: '1.0', id: 'e-2', source: '/shop', type: 'order.placed', userid: 'u%2Dce' }))
      given.set(`ce-${name}`, value);
    await nc.jetstream().publish(SUBJECT, JSON.stringify(order('ce-binary')), { headers: given });
    await nc.jetstream().publish(SUBJECT, JSON.stringify(order('ce-binary')), { headers: given });
    await nc.jetstream().publish(SUBJECT, JSON.stringify({ userId: 'u', payload: order('ce-after') }));
    expect(await ran('ce-binary')).toMatchObject({ userId: 'u-ce' });
    await ran('ce-after');
    expect(seen.filter(({ orderId }) => orderId === 'ce-binary')).toHaveLength(1);
  });

  const deep = `{"userId":"u","payload":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
  it.each<readonly [string, string | Uint8Array, { code: string; path?: string; message?: RegExp }]>([
    ['a body that is no JSON', '{"userId":', { code: 'BODY_NOT_JSON' }],
    ['an empty body', '', { code: 'BODY_NOT_JSON' }],
    ['a body that is no UTF-8', Uint8Array.from([0x7b, 0xff, 0x7d]), { code: 'BODY_NOT_UTF8' }],
    ['the same key twice', '{"userId":"a","userId":"b","payload":{}}', { code: 'BODY_NOT_IJSON' }],
    ['an integer that a double changes', '{"userId":"a","payload":{"id":12345678901234567890}}', { code: 'BODY_NOT_IJSON' }],
    ['a lone surrogate', '{"userId":"a","payload":{"id":"\\ud800"}}', { code: 'BODY_NOT_IJSON' }],
    ['100,000 levels', deep, { code: 'BODY_TOO_DEEP' }],
    ['an array at the top', '[]', { code: 'COMMAND_INVALID', path: '' }],
    ['null at the top', 'null', { code: 'COMMAND_INVALID', path: '' }],
    ['no user', '{"payload":{}}', { code: 'COMMAND_INVALID', path: 'userId' }],
    ['a field that no command has', '{"userId":"u","payload":{},"user":"x"}', { code: 'COMMAND_INVALID', path: 'user' }],
    ['a payload of another type', '{"userId":"u","payload":"text"}', { code: 'PAYLOAD_INVALID', path: '' }],
    ['a payload with a wrong field', '{"userId":"u","payload":{"orderId":7,"items":[]}}', { code: 'PAYLOAD_INVALID', path: 'orderId' }],
    [
      'a payload with a wrong nested field',
      '{"userId":"u","payload":{"orderId":"x","items":[{"sku":"a","quantity":0}]}}',
      { code: 'PAYLOAD_INVALID', path: 'items[0].quantity' },
    ],
    [
      'a field that the payload class does not have',
      '{"userId":"u","payload":{"orderId":"x","items":[],"extra":1}}',
      { code: 'PAYLOAD_INVALID', path: 'extra' },
    ],
    ['no payload where one is needed', '{"userId":"u"}', { code: 'PAYLOAD_INVALID', path: 'orderId' }],
  ])('is a dead letter at once, with %s, and the next command runs', async (name, body, expected) => {
    const { seq } = await nc.jetstream().publish(SUBJECT, typeof body === 'string' ? new TextEncoder().encode(body) : body);
    const next = `after ${name}`;
    await nc.jetstream().publish(SUBJECT, JSON.stringify({ userId: 'u', payload: order(next) }));
    await ran(next);
    const letters = app.get(DeadLetters);
    const letter = await until(`dead letter of ${seq}`, async () =>
      (await letters.list({ limit: 1000 })).find(({ sequence }) => sequence === seq),
    );
    expect(letter).toMatchObject({
      reason: 'invalid',
      code: expected.code,
      workspace: 'Orders',
      workflow: 'ProcessOrder',
      subject: SUBJECT,
    });
    if (expected.path !== undefined) expect(letter.errors?.map(({ path }) => path)).toContain(expected.path);
    expect(letter.attempts).toBe(1);
    expect(Buffer.from((await letters.inspect(letter.deadSequence)).body)).toEqual(Buffer.from(body));
  });

  it('is a dead letter when its subject holds a name that the grammar refuses', async () => {
    const subject = 'loopstack.run.Orders.Pro\u00a0cess';
    const { seq } = await nc.jetstream().publish(subject, JSON.stringify({ userId: 'u', payload: order('stray') }));
    const letters = app.get(DeadLetters);
    const letter = await until(
      'dead letter of the stray',
      async () => (await letters.list({ workspace: 'invalid' })).find(({ sequence }) => sequence === seq),
      20_000,
    );
    expect(letter).toMatchObject({ reason: 'invalid', code: 'NAME_INVALID', subject });
  });

  it('stays where it is, and is told of, when no worker has ever served its workflow', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn');
    const { seq } = await nc
      .jetstream()
      .publish('loopstack.run.Orders.ProcesOrder', JSON.stringify({ userId: 'u', payload: order('typo') }));
    const told = (): unknown[][] => warn.mock.calls.filter(([message]) => String(message).includes('Orders.ProcesOrder'));
    await until('it is told of', () => told().length > 0, 20_000);
    expect(told()).toEqual([[expect.stringContaining('Commands wait for Orders.ProcesOrder (1 so far)')]]);
    expect((await (await nc.jetstreamManager()).streams.getMessage('LOOPSTACK_RUNS', { seq })).seq).toBe(seq);
    warn.mockRestore();
  });
});

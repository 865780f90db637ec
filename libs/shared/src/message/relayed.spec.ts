import { encodeRunCommand } from './command.js';
import { encodeRunEvent } from './event.js';
import { headerReader, type Headers } from './header.js';
import { isServerAnswer, relayedCommand, relayedHeader, storedRunEvent } from './relayed.js';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const ORDERS = { workspace: 'Orders', workflow: 'Job' };
const DUE = 'LOOPSTACK_SCHEDULES 12 loopstack.due.*.* loopstack.run.{{wildcard(1)}}.{{wildcard(2)}} loopstack.due.Orders.Job x';

describe('relayed messages', () => {
  it.each(['Nats-Stream', 'Nats-Subject', 'Nats-Sequence', 'Nats-Time-Stamp', 'Nats-Last-Sequence', 'Nats-Num-Pending'])(
    'a message with %s is a relayed answer',
    (name) => {
      expect(relayedHeader(headerReader({ [name]: '1' }))).toBe(name);
      expect(relayedCommand(ORDERS, headerReader({ [name]: '1' }))).toContain(name);
    },
  );

  it.each<[string, Headers, boolean]>([
    ['a plain one', {}, true],
    [
      'with a message id and ours',
      { 'Nats-Msg-Id': 'm', 'Loopstack-Run-Id': 'r', 'Loopstack-Redriven': '1', 'Loopstack-Replay-Id': 'p' },
      true,
    ],
    ['of a batch', { 'Nats-Batch-Id': 'b', 'Nats-Batch-Sequence': '1', 'Nats-Batch-Commit': '1' }, true],
    [
      'due',
      {
        'Nats-Scheduler': 'loopstack.schedule.Orders.Job.r1',
        'Nats-Schedule-Next': 'purge',
        'Nats-TTL': '168h',
        'Nats-Stream-Source': DUE,
      },
      true,
    ],
    ['due, with a prefix', { 'Nats-Scheduler': 'own.schedule.Orders.Job.r1', 'Nats-Stream-Source': 'OWN_SCHEDULES 1 x' }, true],
    ['of a stream that was restored from another', { 'Nats-Stream-Source': 'LOOPSTACK_RUNS 7 > >' }, true],
    [
      'due, of a schedule of another workspace',
      { 'Nats-Scheduler': 'loopstack.schedule.Payments.Job.r1', 'Nats-Stream-Source': DUE },
      false,
    ],
    [
      'due, of a schedule of another workflow',
      { 'Nats-Scheduler': 'loopstack.schedule.Orders.Other.r1', 'Nats-Stream-Source': DUE },
      false,
    ],
    ['due, of what is no schedule', { 'Nats-Scheduler': 'loopstack.due.Orders.Job', 'Nats-Stream-Source': DUE }, false],
    ['among the due ones without a schedule', { 'Nats-Stream-Source': DUE }, false],
  ])('commands count for their workflow or not: %s', (_, headers, is) => {
    expect(relayedCommand(ORDERS, headerReader(headers)) === undefined).toBe(is);
  });

  it.each<[string, boolean]>([
    ['', false],
    ['{"stream":"LOOPSTACK_RUNS","seq":5}', true],
    ['{"stream":"LOOPSTACK_RUNS", "seq":5,"duplicate":true}', true],
    ['{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 1"},"stream":"LOOPSTACK_RUNS","seq":0}', true],
    ['{"type":"io.nats.jetstream.api.v1.account_info_response","memory":0}', true],
    ['{"server":{"name":"n","host":"127.0.0.1"},"data":{}}', true],
    ['{"userId":"u1","payload":{"stream":"S","seq":1}}', false],
    ['{"payload":{"type":"io.nats.x"},"userId":"u1"}', false],
    ['{"type":"succeeded","at":"x","attempt":1}', false],
    ['[]', false],
  ])('bodies count as server answers or not: %s', (body, is) => {
    expect(isServerAnswer(bytes(body))).toBe(is);
  });

  it('our own bodies are no server answers', () => {
    expect(isServerAnswer(encodeRunCommand({ payload: { stream: 'S', seq: 1 }, userId: 'u1' }))).toBe(false);
  });

  it('a relayed answer is never an event', () => {
    const data = encodeRunEvent({ type: 'succeeded', at: new Date(0).toISOString(), attempt: 1 });
    expect(storedRunEvent({ data, relayed: false })).toMatchObject({ type: 'succeeded' });
    expect(storedRunEvent({ data, relayed: true })).toBeUndefined();
  });
});

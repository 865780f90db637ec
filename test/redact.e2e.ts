import { NonRetryableError, OnEvent, OnRun, RunService, Workflow, Workspace, type RedactedRun } from '@loopstack/core';
import { DeadLetters } from '@loopstack/nats';
import { LoopstackError } from '@loopstack/shared';
import { Injectable, Logger, type INestMicroservice, type LoggerService } from '@nestjs/common';
import { Transform } from 'class-transformer';
import { IsString, Matches } from 'class-validator';
import { type NatsConnection } from 'nats';
import { harness } from './rig/harness.js';
import { readStream } from './rig/measure.js';
import { until } from './until.js';

const SECRET = 'tell-nobody-4111';
const paid: string[] = [];
let broken = true;

class Card {
  @IsString()
  holder!: string;

  @Matches(/^tell/, { message: '$value is no card' })
  number!: string;
}

@Workflow({ payload: Card, redact: { paths: ['number'] }, retry: { attempts: 2, delay: '10ms' } })
class Pay {
  run({ number }: Card): void {
    if (broken) throw new Error(`the bank declined ${number}`);
    paid.push(number);
  }
}

@OnEvent('shop.paid', { map: () => ({ holder: 'Ada', number: SECRET.slice(1) }), userId: 'u1' })
@Workflow({ payload: Card, redact: { paths: ['number'] } })
class Follow {
  run(): void {}
}

class Padded {
  @Transform(({ value }: { value: string }) => value.trim().toUpperCase())
  @IsString()
  number!: string;
}

/** Each tells the secret in a way of its own. */
const WAYS: Readonly<Record<string, (number: string, payload: Record<string, unknown>) => unknown>> = {
  'changes its payload': (number, payload) => {
    delete payload['number'];
    payload['log'] = `used ${number}`;
    return new Error(`declined ${number}`);
  },
  'names its error': (number) => Object.assign(new Error('declined'), { name: `Declined${number}` }),
  'quotes a stack': (number) => new Error(`declined\n    at pay (${number}.js:1:1)\n    at ${number}`),
  'throws many errors': (number) => new AggregateError([new Error(number)], `all declined: ${number}`, { cause: new Error(number) }),
  'throws no error': (number) => ({ nested: [{ number, more: { number } }] }),
};

@Workflow({ redact: { paths: ['number'] }, retry: { attempts: 2, delay: '10ms' } })
class Tell {
  run(payload: Record<string, unknown>): void {
    throw WAYS[payload['way'] as string]!(payload['number'] as string, payload);
  }
}

@Workflow({ retry: { attempts: 1 } })
class Wait {
  run({ key }: { key: string }): void {
    throw new LoopstackError('RUN_FAILED', { runId: 'child', reason: `no ${key}` });
  }
}

@Workflow({ redact: { paths: ['number'] } })
class Unwritable {
  run({ number }: { number: string }): unknown {
    return {
      toJSON: () => {
        throw new Error(`no JSON of ${number}`);
      },
    };
  }
}

@Workflow({ payload: Padded, redact: { paths: ['number'] }, retry: { attempts: 1 } })
class Trim {
  run({ number }: Padded): void {
    throw new Error(`declined ${number}`);
  }
}

@Workflow({ retry: { attempts: 1 } })
class Lookup {
  run({ key }: { key: string }): void {
    throw new NonRetryableError(`no ${key}\n[fake] forged line`);
  }
}

@Injectable()
class Listener {
  @OnRun('Lookup', 'failed', { delivery: 'live' })
  failed(): never {
    throw new Error(`listener of ${SECRET}`);
  }
}

@Workspace({ workflows: [Pay, Lookup, Follow, Tell, Trim, Unwritable, Wait] })
class Shop {}

class Collector implements LoggerService {
  readonly lines: string[] = [];
  readonly #add = (...parts: unknown[]): void => void this.lines.push(parts.map(String).join(' '));
  log = this.#add;
  error = this.#add;
  warn = this.#add;
  debug = this.#add;
  verbose = this.#add;
  fatal = this.#add;
}

const rig = harness();
let app: INestMicroservice;
let nc: NatsConnection;
let dead: DeadLetters;
const log = new Collector();

beforeAll(async () => {
  await rig.startServer();
  nc = await rig.connect();
  await (await nc.jetstreamManager()).streams.add({ name: 'SHOP', subjects: ['shop.>'] });
  const error = (thrown: unknown, run: RedactedRun | undefined): string => {
    const { message } = thrown as Error;
    return run?.workflow === 'Pay' ? message : message.replaceAll(SECRET, 'xxx');
  };
  app = await rig.startApp([Pay, Lookup, Follow, Tell, Trim, Unwritable, Wait, Shop, Listener], {}, { redact: { error } });
  Logger.overrideLogger(log);
  dead = app.get(DeadLetters);
});
afterAll(async () => {
  Logger.overrideLogger(['fatal']);
});

const letterOf = (workflow: string, count = 1) =>
  until(`${count} dead letters of ${workflow}`, async () => {
    const letters = await dead.list({ workflow });
    return letters.length === count ? letters.at(-1) : undefined;
  });

/** What the worker has written: its log, and what is stored beside the commands themselves. */
async function written(): Promise<string> {
  const stored = await Promise.all(['LOOPSTACK_EVENTS', 'LOOPSTACK_DEAD'].map((stream) => readStream(nc, stream)));
  const texts = stored.flat().map(({ data }) => Buffer.from(data).toString());
  texts.push(JSON.stringify(await dead.list()));
  return [...log.lines, ...texts].join('\n');
}

describe('a secret of a payload', () => {
  it('is in no log, event or dead letter of a run that fails with it', async () => {
    await app.get(RunService).run(Pay, Shop, { holder: 'Ada', number: SECRET }, 'u1');
    const letter = await letterOf('Pay');
    const { body } = await dead.inspect(letter.deadSequence);
    expect(JSON.parse(Buffer.from(body).toString())).toEqual({ payload: { holder: 'Ada', number: '[redacted]' }, userId: 'u1' });
    expect(letter.message).toBe('Pay failed: Error: the bank declined [redacted]');
    const text = await written();
    expect(text).toContain('the bank declined [redacted]');
    expect(text).not.toContain(SECRET);
  });

  it('is still there when the letter is redriven', async () => {
    broken = false;
    const [letter] = await dead.list({ workflow: 'Pay' });
    await dead.redrive(letter!.deadSequence);
    await until('it is paid', () => paid.length === 1);
    expect(paid).toEqual([SECRET]);
  });

  it.each([
    ['that is refused', `{"userId":"u1","payload":{"holder":"Ada","number":"no-${SECRET}"}}`],
    ['that cannot be read', `{"userId":"u1","payload":{"holder":"Ada","number":"${SECRET}"`],
    ['with a key twice', `{"userId":"u1","payload":{"${SECRET}":1,"${SECRET}":2}}`],
  ])('is not shown of a command %s', async (_, body) => {
    const before = (await dead.list({ workflow: 'Pay' })).length;
    nc.publish('loopstack.run.Shop.Pay', body);
    await letterOf('Pay', before + 1);
    expect(await written()).not.toContain(SECRET);
  });

  it.each(Object.keys(WAYS))('is not shown where a workflow %s', async (way) => {
    const before = (await dead.list({ workflow: 'Tell' })).length;
    await app.get(RunService).run(Tell, Shop, { way, number: SECRET }, 'u1');
    const { deadSequence } = await letterOf('Tell', before + 1);
    expect(Buffer.from((await dead.inspect(deadSequence)).body).toString()).toContain('"number":"[redacted]"');
    expect(await written()).not.toContain(SECRET);
  });

  it('is not shown where a result has no JSON, or a validator has changed it', async () => {
    await app.get(RunService).run(Unwritable, Shop, { number: SECRET }, 'u1');
    await letterOf('Unwritable');
    await app.get(RunService).run(Trim, Shop, { number: ` ${SECRET} ` }, 'u1');
    await letterOf('Trim');
    expect((await written()).toLowerCase()).not.toContain(SECRET);
  });

  it('is not shown of an event that a binding cannot use', async () => {
    await nc.jetstream().publish('shop.paid', JSON.stringify({ secret: SECRET }));
    const { deadSequence } = await letterOf('Follow');
    expect(await written()).not.toContain(SECRET.slice(1));
    // It is told why, when it is used again.
    const [again] = (await dead.redrive(deadSequence)).failed;
    expect(again).toMatchObject({ deadSequence, code: 'EVENT_INVALID' });
    expect(again?.reason).not.toContain(SECRET.slice(1));
  });
});

describe('what a workflow throws', () => {
  it('is what the function of the application says, also where it is the error of another run', async () => {
    await app.get(RunService).run(Wait, Shop, { key: SECRET }, 'u1');
    expect((await letterOf('Wait')).message).toBe('LoopstackError: Run child failed: no xxx');
  });

  it('is logged and recorded as the function of the application says, on one line', async () => {
    await app.get(RunService).run(Lookup, Shop, { key: SECRET }, 'u1');
    const letter = await letterOf('Lookup');
    expect(letter.message).toBe('Lookup failed: NonRetryableError: no xxx\\u000a[fake] forged line');
    await until('the listener has failed', () => log.lines.some((line) => line.includes('listener of xxx')));
    expect(log.lines.filter((line) => line.includes(SECRET) || /^\[fake]/m.test(line))).toEqual([]);
  });
});

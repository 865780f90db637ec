import { OnEvent, Workflow, Workspace } from '@loopstack/core';
import { HEADER, eventRunId, type DeadLetter } from '@loopstack/shared';
import { IsInt } from 'class-validator';
import { Rig, until, type Service } from './rig.js';

const ran: string[] = [];
/** Mended by a test, as a deployment would. */
let strict = true;

interface Payment {
  readonly id: string;
  readonly cents?: unknown;
  readonly userId?: string;
}

class BookPayload {
  @IsInt() cents!: number;
}

@OnEvent('payments.*', {
  map: (event: Payment) => {
    if (strict && event.id === 'throws') throw new TypeError('no such customer');
    return { cents: event.cents as number };
  },
})
@Workflow({ payload: BookPayload })
class Book {
  run({ cents }: BookPayload): void {
    ran.push(`book ${cents}`);
  }
}

@OnEvent('payments.*', { userId: 'auditor' })
@Workflow()
class Watch {
  run({ id }: Payment): void {
    ran.push(`watch ${id}`);
  }
}

@OnEvent('payments.*', {
  userId: 'archivist',
  format: 'bytes',
  map: (event: Uint8Array, { subject }) => ({ bytes: event.length, subject }),
})
@Workflow()
class Archive {
  run({ bytes }: { bytes: number }): void {
    ran.push(`archive ${bytes}`);
  }
}

@Workspace({ workflows: [Book, Watch, Archive] })
class Ledger {}

const providers = [Ledger, Book, Watch, Archive];
const BOOK = 'loopstack~on~Ledger~Book~payments,+';

describe('an event that a binding cannot use', () => {
  const rig = Rig.use('all');
  let service: Service;
  let tool: Service;
  beforeAll(async () => {
    // Nothing in it may be read by direct gets: streams of applications are as they are.
    await rig.stream('PAYMENTS', 'payments.*');
    service = await rig.service({ providers });
    tool = await rig.service({ providers: [], worker: false });
    for (const event of [
      { id: 'good', cents: 1, userId: 'u1' },
      { id: 'throws', cents: 2, userId: 'u1' },
      { id: 'invalid', cents: 'three', userId: 'u1' },
      { id: 'nobody', cents: 4 },
      new TextEncoder().encode('no json'),
      { id: 'last', cents: 6, userId: 'u1' },
    ]) {
      await rig.emit('payments.card', event, { [HEADER.TRACEPARENT]: '00-1-1-00' });
    }
    await until(
      'everything else',
      () => ran.includes('book 6') && ran.includes('watch last') && ran.filter((r) => r.startsWith('archive')).length === 6,
    );
    await until('all letters', async () => (await letters()).length >= 5);
  });

  const letters = (): Promise<readonly DeadLetter[]> => tool.deadLetters.list();
  const letterOf = async (workflow: string, sequence: number): Promise<DeadLetter> => {
    const found = (await letters()).find((letter) => letter.workflow === workflow && letter.sequence === sequence);
    if (!found) throw new Error(`no letter of ${workflow} for event ${sequence}`);
    return found;
  };

  it('holds nobody up', () => {
    expect(ran.filter((r) => r.startsWith('book'))).toEqual(['book 1', 'book 6']);
    expect(ran.filter((r) => r.startsWith('watch')).toSorted()).toEqual([
      'watch good',
      'watch invalid',
      'watch last',
      'watch nobody',
      'watch throws',
    ]);
  });

  it('is a dead letter of that binding, with the reason and where the event is', async () => {
    const { sequence, timeMs } = { sequence: 2, timeMs: (await rig.jsm.streams.getMessage('PAYMENTS', { seq: 2 })).time.getTime() };
    expect(await letterOf('Book', 2)).toMatchObject({
      workspace: 'Ledger',
      reason: 'invalid',
      code: 'EVENT_INVALID',
      message: expect.stringContaining('TypeError: no such customer'),
      binding: BOOK,
      stream: 'PAYMENTS',
      sequence: 2,
      subject: 'payments.card',
      runId: eventRunId('Ledger', 'Book', 'PAYMENTS', sequence, timeMs),
      headers: expect.objectContaining({ traceparent: '00-1-1-00' }),
    });
    expect(await letterOf('Book', 3)).toMatchObject({
      reason: 'invalid',
      code: 'PAYLOAD_INVALID',
      errors: [{ path: 'cents', rule: 'isInt', message: 'cents must be an integer number', received: 'string' }],
    });
    expect(await letterOf('Book', 4)).toMatchObject({ reason: 'invalid', code: 'USER_MISSING' });
  });

  it('is one for each binding that cannot use it', async () => {
    expect([(await letterOf('Book', 5)).code, (await letterOf('Watch', 5)).code]).toEqual(['BODY_NOT_JSON', 'BODY_NOT_JSON']);
    expect(await letters()).toHaveLength(5);
  });

  it('stays a dead letter when it is redriven and still cannot be used', async () => {
    const { deadSequence } = await letterOf('Book', 3);
    const { done, failed } = await tool.deadLetters.redrive(deadSequence);
    expect({ done, failed }).toEqual({
      done: [],
      failed: [{ deadSequence, code: 'EVENT_INVALID', reason: expect.stringContaining('cents must be an integer number') }],
    });
    expect(await letterOf('Book', 3)).toMatchObject({ deadSequence });
  });

  it('is mapped again when it is redriven, by a worker that declares the binding', async () => {
    strict = false;
    const { deadSequence } = await letterOf('Book', 2);
    expect(await tool.deadLetters.redrive({ workflow: 'Book', runId: (await letterOf('Book', 2)).runId })).toEqual({
      done: [deadSequence],
      failed: [],
    });
    await until('the run', () => ran.includes('book 2'));
    expect((await letters()).map(({ sequence }) => sequence)).not.toContain(2);
    // Once more is the same run.
    expect(await tool.deadLetters.redrive(deadSequence)).toMatchObject({
      failed: [{ deadSequence, code: 'DEAD_LETTER_UNKNOWN', reason: `There is no dead letter ${deadSequence}` }],
    });
    expect(ran.filter((r) => r === 'book 2')).toHaveLength(1);
  });

  it('is refused when it is redriven and no worker declares the binding', async () => {
    await rig.stop(service);
    const { deadSequence } = await letterOf('Book', 4);
    const { failed } = await tool.deadLetters.redrive(deadSequence);
    expect(failed).toEqual([
      {
        deadSequence,
        code: 'BINDING_UNAVAILABLE',
        reason: `Binding ${BOOK} could not receive the event again: no worker consumes it now`,
      },
    ]);
    expect(await letterOf('Book', 4)).toMatchObject({ deadSequence });
  });
});

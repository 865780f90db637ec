// oxlint-disable typescript/no-unnecessary-type-arguments -- without it, an overload of Nest is taken that refuses handlers with a typed context
import { HEADER } from '@loopstack/shared';
import { JetStreamContext } from '@loopstack/nats';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload, RpcException, Transport } from '@nestjs/microservices';
import { Rig, until, type Service } from './rig.js';

const heard: string[] = [];

@Controller()
class Payments {
  @EventPattern<string>('payments.done')
  done(@Payload() event: { id: number }, @Ctx() context: JetStreamContext): void {
    heard.push(`done ${event.id} ${context.subject} ${context.header('Tenant') ?? 'none'}`);
  }

  @EventPattern<string>('payments.*.late', { from: 'all' })
  late(@Payload() event: { id: number }): void {
    heard.push(`late ${event.id}`);
  }

  @EventPattern<string>('payments.flaky', { retry: { attempts: 3, delay: '10ms' } })
  async flaky(@Payload() event: { failures: number }, @Ctx() { deliveries }: JetStreamContext): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    heard.push(`flaky ${event.failures} ${deliveries}`);
    if (deliveries <= event.failures) throw new RpcException('not yet');
  }

  @EventPattern<string>('payments.elsewhere', Transport.TCP)
  elsewhere(): void {
    heard.push('elsewhere');
  }
}

describe("Nest's @EventPattern on streams", () => {
  const rig = Rig.use('all');
  let service: Service;
  beforeAll(async () => {
    await rig.stream('PAYMENTS', 'payments.>');
    await rig.emit('payments.eu.late', { id: 1 });
    await rig.emit('payments.done', { id: 0 });
    service = await rig.service({ name: 'ledger', providers: [], controllers: [Payments] });
    await rig.service({ name: 'ledger', providers: [], controllers: [Payments] });
    await rig.service({ name: 'other', providers: [], controllers: [Payments] });
  });

  const count = (what: string): number => heard.filter((h) => h === what).length;

  it('calls the handler once in each service, with data, subject and headers', async () => {
    await rig.emit('payments.done', { id: 1 }, { Tenant: 'acme' });
    await rig.emit('payments.done', { pattern: 'payments.done', data: { id: 2 } });
    await until('both services', () => count('done 1 payments.done acme') === 2 && count('done 2 payments.done none') === 2);
    // What came before there was a durable is not for it, unless it says so.
    expect(count('done 0 payments.done none')).toBe(0);
    await until('the early one', () => count('late 1') === 2);
    expect(heard).not.toContain('elsewhere');
  });

  it('delivers again after a delay what a handler failed at', async () => {
    await rig.emit('payments.flaky', { failures: 1 });
    await until('both services', () => count('flaky 1 2') === 2);
    await until(
      'it is settled',
      async () => (await rig.consumer('PAYMENTS', 'loopstack~event~ledger~payments,flaky')).num_ack_pending === 0,
    );
    expect(count('flaky 1 3')).toBe(0);
  });

  it('makes a dead letter of it after the last attempt, which can be redriven', async () => {
    await rig.emit('payments.flaky', { failures: 9 });
    const [letter] = await until('the letters', async () => {
      const letters = await service.deadLetters.list({ workspace: 'ledger' });
      return letters.length > 0 ? letters : undefined;
    });
    expect(letter).toMatchObject({
      workflow: 'payments_flaky',
      reason: 'failed',
      code: 'HANDLER_FAILED',
      message: expect.stringContaining('not yet'),
      attempts: 3,
      binding: 'loopstack~event~ledger~payments,flaky',
      stream: 'PAYMENTS',
      subject: 'payments.flaky',
    });
    const { deadSequence } = letter as { deadSequence: number };
    expect(await service.deadLetters.redrive(deadSequence)).toEqual({
      done: [],
      failed: [{ deadSequence, code: 'EVENT_INVALID', reason: expect.stringContaining('not yet') }],
    });
  });

  it('makes a dead letter at once of a body that is no JSON', async () => {
    await rig.emit('payments.done', new TextEncoder().encode('<xml/>'), { [HEADER.TRACEPARENT]: 't' });
    const [letter] = await until('the letter', async () => {
      const letters = await service.deadLetters.list({ workspace: 'other', workflow: 'payments_done' });
      return letters.length > 0 ? letters : undefined;
    });
    expect(letter).toMatchObject({ reason: 'invalid', code: 'BODY_NOT_JSON', attempts: 1, headers: { traceparent: 't' } });
  });
});

describe('handlers that a stream cannot serve', () => {
  const rig = Rig.use('all');

  @Controller()
  class Questions {
    @MessagePattern('price')
    price(): number {
      return 1;
    }
    @EventPattern<string>('price.changed')
    changed(): void {}
  }

  it('stop the boot, all of them named', async () => {
    await expect(rig.service({ providers: [], controllers: [Questions] })).rejects.toMatchObject({
      code: 'BOOT_FAILED',
      message: expect.stringMatching(/@MessagePattern price: a stream answers no requests.*@EventPattern price\.changed: name the service/),
    });
  });
});

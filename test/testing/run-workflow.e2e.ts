import { NonRetryableError, Workflow, type RunContext } from '@loopstack/core';
import { runWorkflow } from '@loopstack/testing';
import { ForbiddenException, Injectable, UseGuards, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { IsInt } from 'class-validator';

class Numbers {
  @IsInt()
  n!: number;
}

@Injectable()
class Doubler {
  double(n: number): number {
    return 2 * n;
  }
}

@Workflow({ payload: Numbers })
class Double {
  constructor(private readonly doubler: Doubler) {}

  run(payload: Numbers): { value: number; at: Date; isNumbers: boolean } {
    return { value: this.doubler.double(payload.n), at: new Date(0), isNumbers: payload instanceof Numbers };
  }
}

@Workflow()
class Tell {
  async run(_: object, ctx: RunContext): Promise<unknown> {
    await ctx.progress({ step: 1 });
    const { runId, workspace, workflow, userId, attempt, redelivered, headers, correlationId, causeDepth, causeHeaders } = ctx;
    return {
      runId,
      workspace,
      workflow,
      userId,
      attempt,
      redelivered,
      trace: headers['traceparent'],
      correlationId,
      causeDepth,
      causeHeaders,
    };
  }
}

class Declined extends NonRetryableError {}

@Workflow()
class Fail {
  run({ wait }: { wait?: boolean }, { signal }: RunContext): Promise<never> {
    if (wait !== true) throw new Declined('no');
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
  }
}

@Injectable()
class OnlyAdmins implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    return context.getArgByIndex<RunContext>(1).userId === 'admin';
  }
}

@UseGuards(OnlyAdmins)
@Workflow()
class Guarded {
  run(): string {
    return 'done';
  }
}

@Workflow({ timeout: '20ms' })
class Slow {
  run(): Promise<never> {
    return new Promise(() => {});
  }
}

describe('a workflow that is run alone', () => {
  it('gets its payload as an instance, and gives what JSON brings back', async () => {
    const result = await runWorkflow(Double, { n: 4 }, { providers: [Doubler] });
    expect(result).toEqual({ value: 8, at: '1970-01-01T00:00:00.000Z', isNumbers: true });
  });

  it('has a whole context', async () => {
    const told: unknown[] = [];
    const result = await runWorkflow(
      Tell,
      {},
      {
        userId: 'u7',
        workspace: 'Own',
        runId: 'r-1',
        attempt: 2,
        correlationId: 'c-1',
        headers: { traceparent: 't' },
        progress: (value) => told.push(value),
      },
    );
    expect(result).toEqual({
      runId: 'r-1',
      workspace: 'Own',
      workflow: 'Tell',
      userId: 'u7',
      attempt: 2,
      redelivered: true,
      trace: 't',
      correlationId: 'c-1',
      causeDepth: 0,
      causeHeaders: { 'Loopstack-Cause': 'r-1', 'Loopstack-Cause-Depth': '1', 'Loopstack-Correlation-Id': 'c-1' },
    });
    expect(told).toEqual([{ step: 1 }]);
  });

  it('throws what it throws, in its own class', async () => {
    await expect(runWorkflow(Fail, {})).rejects.toBeInstanceOf(Declined);
  });

  it('refuses a payload that a worker would refuse', async () => {
    const wrong = runWorkflow(Double, { n: 'four' } as never, { providers: [Doubler] });
    await expect(wrong).rejects.toMatchObject({ code: 'PAYLOAD_INVALID', errors: [{ path: 'n' }] });
    await expect(runWorkflow(Tell, new Map(), {})).rejects.toMatchObject({ code: 'PAYLOAD_UNSERIALIZABLE' });
    await expect(runWorkflow(Tell, {}, { userId: '' })).rejects.toMatchObject({ code: 'USER_MISSING' });
  });

  it('is guarded as in a worker', async () => {
    expect(await runWorkflow(Guarded, {}, { userId: 'admin' })).toBe('done');
    await expect(runWorkflow(Guarded, {})).rejects.toBeInstanceOf(ForbiddenException);
  });

  it('ends with its timeout and with a cancel', async () => {
    await expect(runWorkflow(Slow, {})).rejects.toMatchObject({ code: 'HANDLER_TIMEOUT' });
    const controller = new AbortController();
    const run = runWorkflow(Fail, { wait: true }, { signal: controller.signal });
    setTimeout(() => controller.abort(), 20);
    await expect(run).rejects.toMatchObject({ code: 'RUN_CANCELED' });
  });
});

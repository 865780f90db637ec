import {
  NonRetryableError,
  OnEvent,
  OnRun,
  RunService,
  Schedule,
  Workflow,
  Workspace,
  type RunContext,
  type RunNotice,
} from '@loopstack/core';
import { Injectable } from '@nestjs/common';
import { IsInt, IsString, Min } from 'class-validator';

/** What the workflows of the contract have seen. */
@Injectable()
export class Journal {
  readonly begun: string[] = [];
  readonly aborted = new Map<string, unknown>();
  readonly told: string[] = [];
  readonly #gates = new Map<string, () => void>();

  /** Ends when `open` is called for the run, or with its signal. */
  hold({ runId, signal, attempt }: RunContext): Promise<number> {
    this.begun.push(runId);
    return new Promise((resolve, reject) => {
      this.#gates.set(runId, () => resolve(attempt));
      signal.addEventListener('abort', () => {
        this.aborted.set(runId, (signal.reason as { code?: string }).code);
        reject(signal.reason as Error);
      });
    });
  }

  open(runId: string): void {
    this.#gates.get(runId)?.();
  }
}

export class Order {
  @IsString()
  id!: string;

  @IsInt()
  @Min(1)
  amount!: number;
}

@Workflow({ payload: Order })
export class Confirm {
  run({ id, amount }: Order, { headers, userId, correlationId, causeDepth }: RunContext): object {
    return { id, amount, userId, source: headers['X-Source'] ?? null, isOwn: correlationId.length > 0, causeDepth };
  }
}

@Workflow({ retry: { attempts: 3, delay: '1s', jitter: 0 } })
export class Flaky {
  run({ failures }: { failures: number }, { attempt }: RunContext): number {
    if (attempt <= failures) throw new Error(`attempt ${attempt} failed`);
    return attempt;
  }
}

@Workflow({ retry: { attempts: 1 } })
export class Broken {
  static mended = new Set<string>();

  run({ key }: { key: string }): string {
    if (Broken.mended.has(key)) return 'mended';
    throw new TypeError('boom');
  }
}

@Workflow({ retry: { attempts: 5, delay: '1h' } })
export class Refusing {
  run(): never {
    throw new NonRetryableError('never again');
  }
}

@Workflow({ retry: { attempts: 5, delay: '1h' } })
export class Patient {
  run(): never {
    throw new Error('later');
  }
}

@Workflow({ concurrency: 1 })
export class Hold {
  constructor(private readonly journal: Journal) {}

  run(_: object, ctx: RunContext): Promise<number> {
    return this.journal.hold(ctx);
  }
}

@Workflow({ timeout: '1s', retry: { attempts: 1 } })
export class Endless {
  constructor(private readonly journal: Journal) {}

  run(_: object, ctx: RunContext): Promise<number> {
    return this.journal.hold(ctx);
  }
}

@Workflow({ record: 'full' })
export class Steps {
  async run({ steps }: { steps: number }, ctx: RunContext): Promise<string> {
    for (let step = 1; step <= steps; step++) await ctx.progress({ step });
    return 'done';
  }
}

@Workflow({ record: 'none' })
export class Silent {
  constructor(private readonly journal: Journal) {}

  run(_: object, { runId }: RunContext): void {
    this.journal.told.push(`silent ${runId}`);
  }
}

@Workflow({ resultLimit: '10B', retry: { attempts: 1 } })
export class Verbose {
  run({ result }: { result: 'long' | 'bigint' }): unknown {
    return result === 'long' ? 'x'.repeat(100) : 1n;
  }
}

@Workflow({ priorities: true, concurrency: 1 })
export class Queue {
  constructor(private readonly journal: Journal) {}

  run({ name }: { name: string }): string {
    this.journal.told.push(`queue ${name}`);
    return name;
  }
}

@Workflow({ payload: Order })
export class Ship {
  run({ id }: Order, { causeDepth, correlationId }: RunContext): object {
    return { shipped: id, causeDepth, correlationId };
  }
}

@Workflow()
class Apologize {
  run({ reason }: { reason: string }, { userId }: RunContext): string {
    return `${userId}: ${reason}`;
  }
}

@Workflow({
  retry: { attempts: 1 },
  then: [
    {
      workflow: Ship,
      map: (result) =>
        (result as { order: string }).order === 'bad' ? { id: 'bad' } : { id: (result as { order: string }).order, amount: 1 },
      when: (result) => (result as { order: string }).order !== 'none',
    },
    { workflow: Apologize, on: 'failed', map: (_, { error }) => ({ reason: error?.message }) },
  ],
})
export class Sell {
  run({ order }: { order: string }): object {
    if (order === 'fail') throw new Error('sold out');
    return { order };
  }
}

@Workflow({
  payload: Order,
  on: [
    {
      subject: 'shop.*.paid',
      map: ({ amount }: Order, { tokens: [id = ''] }) => ({ id, amount }),
      when: (event) => (event as { isTest?: true }).isTest !== true,
    },
  ],
})
export class Collect {
  run({ id, amount }: Order, { userId }: RunContext): string {
    return `${userId} ${id} ${amount}`;
  }
}

/** Refunds that the binding cannot map yet. */
export const unmapped = new Set<string>();

@OnEvent('shop.refund', {
  userId: 'till',
  map: (event: Order) => {
    if (unmapped.has(event.id)) throw new RangeError('no such till');
    return event;
  },
})
@Workflow({ payload: Order })
export class Refund {
  run({ id }: Order): string {
    return id;
  }
}

@Workflow({ retry: { attempts: 1 }, redact: { paths: ['card'] } })
export class Secret {
  run({ card }: { card: string; order: string }): never {
    throw new Error(`card ${card} was declined`);
  }
}

@Schedule({ every: '24h' }, { payload: { name: 'nightly' } })
@Workflow()
export class Nightly {
  run(): void {}
}

/** Starts itself, one level deeper each time. */
@Workflow()
export class Deeper {
  constructor(private readonly runs: RunService) {}

  async run({ until }: { until: number }, { causeDepth, userId }: RunContext): Promise<number> {
    if (causeDepth < until) await this.runs.run(Deeper, Shop, { until }, userId);
    return causeDepth;
  }
}

/** Told of runs. */
@Injectable()
class Watcher {
  #failures = 0;

  constructor(private readonly journal: Journal) {}

  @OnRun(Confirm, ['succeeded', 'failed'])
  durable({ runId, type, result }: RunNotice): void {
    this.journal.told.push(`durable ${runId} ${type} ${(result as { id?: string } | undefined)?.id ?? ''}`);
  }

  @OnRun(Refusing, 'failed', { retry: { attempts: 3, delay: '1s', jitter: 0 } })
  twice({ runId, error }: RunNotice): void {
    if (++this.#failures % 2 === 1) throw new Error('not yet');
    this.journal.told.push(`retried ${runId} ${error?.code}`);
  }

  @OnRun(Confirm, 'succeeded', { delivery: 'live' })
  live({ runId }: RunNotice): void {
    this.journal.told.push(`live ${runId}`);
  }
}

const WORKFLOWS = [
  Confirm, Flaky, Broken, Refusing, Patient, Hold, Endless, Steps, Silent, Verbose, Queue, Ship, Apologize, Sell, Collect, Refund, Secret, Nightly, Deeper,
]; // prettier-ignore

@Workspace({ workflows: WORKFLOWS })
export class Shop {}

export const PROVIDERS = [...WORKFLOWS, Shop, Journal, Watcher];

/** Options of the application. */
export const LOOPSTACK = { service: 'contract', maxCauseDepth: 3 } as const;

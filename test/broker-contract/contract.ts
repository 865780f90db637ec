import { RunService } from '@loopstack/core';
import type {
  DeadLetter,
  DeadLetterReport,
  DeadLetterFilter,
  DeadLetterSelection,
  Duration,
  ErrorCode,
  LoopstackError,
  RunEvent,
  RunHandle,
} from '@loopstack/shared';
import { until } from '../until.js';
import { Journal } from './application.js';

/** An application on the broker that is tested. */
export interface BrokerUnderTest {
  get<T>(type: new (...args: never[]) => T): T;
  readonly deadLetters: {
    list(filter?: DeadLetterFilter): Promise<readonly DeadLetter[]>;
    inspect(deadSequence: number): Promise<DeadLetter & { readonly body: Uint8Array }>;
    redrive(selection: DeadLetterSelection): Promise<DeadLetterReport>;
    discard(selection: DeadLetterSelection): Promise<DeadLetterReport>;
  };
  /** The broker's time. */
  now(): Date;
  /** Lets time pass, where the broker's clock can be moved; where it cannot, the test waits for what time brings. */
  pass(by: Duration): Promise<void>;
  publish(subject: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<void>;
  close(): Promise<void>;
}

/** What the cases use. */
export class Contract {
  constructor(private readonly open: () => BrokerUnderTest) {}

  get broker(): BrokerUnderTest {
    return this.open();
  }

  get runs(): RunService {
    return this.broker.get(RunService);
  }

  get journal(): Journal {
    return this.broker.get(Journal);
  }

  /** The code of the error that a promise is rejected with. */
  code(promise: Promise<unknown>): Promise<ErrorCode | 'none'> {
    return promise.then(
      () => 'none',
      (error: LoopstackError) => error.code,
    );
  }

  /** The types of a run's events, to its outcome. */
  async history(run: RunHandle): Promise<readonly RunEvent['type'][]> {
    const types: RunEvent['type'][] = [];
    for await (const { type } of run.events()) types.push(type);
    return types;
  }

  begun(run: RunHandle): Promise<unknown> {
    return until('the run has begun', () => this.journal.begun.includes(run.id));
  }

  told(text: string): Promise<unknown> {
    return until(`the journal says: ${text}`, () => this.journal.told.includes(text));
  }

  letterOf(runId: string): Promise<DeadLetter> {
    return until('there is a dead letter', async () => (await this.broker.deadLetters.list({ runId }))[0]);
  }
}

import { IsIn, IsObject } from 'class-validator';
import { NonRetryableError, Workflow, type RunContext } from '@loopstack/core';
import { Documents } from '../../documents/documents.js';

export class ProcessWebhookPayload {
  @IsIn(['stripe'])
  source!: 'stripe';

  /** As it came: its fields are Stripe's and change with its API version. */
  @IsObject()
  event!: Record<string, unknown>;
}

export interface ReceivedEvent {
  readonly id: string;
  readonly type: string;
  readonly source: string;
  readonly receivedAt: string;
  readonly runId: string;
  readonly data: unknown;
}

@Workflow({ title: 'Process a webhook', payload: ProcessWebhookPayload })
export class ProcessWebhookWorkflow {
  constructor(private readonly documents: Documents) {}

  async run({ source, event }: ProcessWebhookPayload, { runId, userId }: RunContext): Promise<ReceivedEvent> {
    const { id, type, data = null } = event;
    if (typeof id !== 'string' || id === '' || typeof type !== 'string') throw new NonRetryableError('the event has no id or no type');
    const receivedAt = new Date().toISOString(); // wall clock: for people to read
    return this.documents.create<ReceivedEvent>('events', userId, id, { id, type, source, receivedAt, runId, data });
  }
}

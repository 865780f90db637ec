import { Injectable } from '@nestjs/common';
import { Documents } from '../documents/documents.js';

export interface Subscriber {
  readonly id: string;
}

/** Who wants a daily report. */
@Injectable()
export class ReportSubscriptions {
  constructor(private readonly documents: Documents) {}

  async set(userId: string, enabled: boolean): Promise<void> {
    if (enabled) await this.documents.create<Subscriber>('subscriptions', userId, 'daily', { id: userId });
    else await this.documents.remove('subscriptions', userId, 'daily');
  }

  async subscribers(): Promise<Subscriber[]> {
    return this.documents.list<Subscriber>('subscriptions');
  }
}

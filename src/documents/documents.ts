import { Injectable } from '@nestjs/common';
import { Bucket } from '@loopstack/nats';

/** What the examples keep. */
export const KINDS = ['summaries', 'events', 'reports', 'receipts', 'applications', 'orders', 'subscriptions'] as const;
export type Kind = (typeof KINDS)[number];

/** Any id as one token of a key. Injective: `=` starts no id that is its own token. */
function token(id: string): string {
  return /^[A-Za-z0-9_-]+$/.test(id) ? id : `=${Buffer.from(id).toString('base64url')}`;
}

const keyOf = (kind: Kind, userId: string, id: string): string => `${kind}.${token(userId)}.${token(id)}`;

/** Documents of users, each under its kind, its owner and its id. No user reads another owner's documents. */
@Injectable()
export class Documents {
  constructor(private readonly bucket: Bucket) {}

  /**
   * Writes a document once. A second attempt of a run, or a second run for the same business id, gets the one that
   * stands: running again changes nothing.
   */
  async create<T extends object>(kind: Kind, userId: string, id: string, document: T): Promise<T> {
    const key = keyOf(kind, userId, id);
    if (await this.bucket.create(key, document)) return document;
    return (await this.bucket.get<T>(key)) ?? document;
  }

  async read<T extends object>(kind: Kind, userId: string, id: string): Promise<T | undefined> {
    return this.bucket.get<T>(keyOf(kind, userId, id));
  }

  async remove(kind: Kind, userId: string, id: string): Promise<void> {
    await this.bucket.remove(keyOf(kind, userId, id));
  }

  /** All documents of a kind, of one owner or of everybody. */
  async list<T extends object>(kind: Kind, userId?: string): Promise<T[]> {
    return this.bucket.list<T>(userId === undefined ? `${kind}.>` : `${kind}.${token(userId)}.*`);
  }
}

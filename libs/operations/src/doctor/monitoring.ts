import type { NatsConnectionLike } from '@loopstack/jetstream';

/** How the server writes acknowledged messages through to the disk. */
export type DiskSync = 'always' | { readonly everyMs: number };

/** Which subjects cross the border of this user's account: only the server's HTTP monitoring tells. */
export interface Border {
  /** Of services and streams that other accounts may import. */
  readonly exports: readonly string[];
  /** Of services and streams of other accounts, by their names there. */
  readonly imports: readonly string[];
}

interface Accountz {
  readonly server_id: string;
  readonly account_detail?: {
    readonly exports?: readonly { readonly subject: string }[];
    readonly imports?: readonly { readonly subject: string }[];
  };
}

interface Varz {
  readonly server_id: string;
  readonly jetstream?: { readonly config?: { readonly sync_interval?: number; readonly sync_always?: boolean } };
}

const TIMEOUT_MS = 1500;

/** The HTTP monitoring of a connection's server: on the given URL, or on the usual port. */
export class Monitoring {
  readonly #nc: NatsConnectionLike;
  readonly #url: string;
  readonly #isNamed: boolean;

  constructor(nc: NatsConnectionLike, url: string | undefined) {
    this.#nc = nc;
    this.#url = url ?? `http://${nc.getServer().replace(/:\d+$/, '')}:8222`;
    this.#isNamed = url !== undefined;
  }

  /** Undefined where monitoring does not answer, or is of another server. */
  async border(account: string): Promise<Border | undefined> {
    const answer = await this.#get<Accountz>(`/accountz?acc=${encodeURIComponent(account)}`);
    const detail = answer?.account_detail;
    if (detail === undefined || !this.#isOurs(answer)) return undefined;
    const subjects = (shared: readonly { readonly subject: string }[] = []): string[] => shared.map(({ subject }) => subject);
    return { exports: subjects(detail.exports), imports: subjects(detail.imports) };
  }

  /** How the server writes through to the disk, which it does not tell a client. */
  async sync(): Promise<DiskSync | undefined> {
    const answer = await this.#get<Varz>('/varz');
    const config = answer?.jetstream?.config;
    // On the usual port another server may listen.
    if (!config || !(this.#isNamed || this.#isOurs(answer))) return undefined;
    return config.sync_always === true ? 'always' : { everyMs: (config.sync_interval ?? 0) / 1_000_000 };
  }

  #isOurs(answer: { readonly server_id: string } | undefined): boolean {
    return answer?.server_id === this.#nc.info?.server_id;
  }

  async #get<T>(path: string): Promise<T | undefined> {
    try {
      const response = await fetch(new URL(path, this.#url), { signal: AbortSignal.timeout(TIMEOUT_MS) });
      return (await response.json()) as T;
    } catch {
      return undefined;
    }
  }
}

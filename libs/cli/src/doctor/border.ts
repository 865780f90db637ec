import type { Session } from '../session.js';

/** Which subjects cross the border of this user's account: only the server's HTTP monitoring tells. */
export interface Border {
  /** Of services and streams that other accounts may import. */
  readonly exports: readonly string[];
  /** Of services and streams of other accounts, as they are called there. */
  readonly imports: readonly string[];
}

interface Accountz {
  readonly server_id: string;
  readonly account_detail?: {
    readonly exports?: readonly { readonly subject: string }[];
    readonly imports?: readonly { readonly subject: string }[];
  };
}

/** Undefined where monitoring does not answer, or is of another server. */
export async function readBorder({ nc }: Session, account: string, url: string, timeoutMs: number): Promise<Border | undefined> {
  try {
    const response = await fetch(new URL(`/accountz?acc=${encodeURIComponent(account)}`, url), { signal: AbortSignal.timeout(timeoutMs) });
    const { server_id: server, account_detail: detail } = (await response.json()) as Accountz;
    if (server !== nc.info?.server_id || detail === undefined) return undefined;
    const subjects = (shared: readonly { readonly subject: string }[] = []): string[] => shared.map(({ subject }) => subject);
    return { exports: subjects(detail.exports), imports: subjects(detail.imports) };
  } catch {
    return undefined;
  }
}

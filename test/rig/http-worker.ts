import { endWithParent } from '@loopstack/nats-server';
import { spawn, type ChildProcess } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { until } from '../until.js';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

export const JWT_SECRET = 'a-secret-for-tests-of-at-least-32-bytes';

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A JSON Web Token (RFC 7519), good for an hour unless the claims say otherwise. */
export function token(
  claims: object,
  options: { readonly secret?: string; readonly header?: object; readonly hash?: string } = {},
): string {
  const { secret = JWT_SECRET, header = { alg: 'HS256', typ: 'JWT' }, hash = 'sha256' } = options;
  const iat = Math.floor(Date.now() / 1000);
  const standard = { iss: 'loopstack', aud: 'loopstack', iat, exp: iat + 3600 };
  const signed = `${part(header)}.${part({ ...standard, ...claims })}`;
  return `${signed}.${createHmac(hash, secret).update(signed).digest('base64url')}`;
}

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly headers: Headers;
}

export interface Request {
  /** Sent as JSON; a string is sent as it is. */
  readonly body?: unknown;
  /** Whose token is sent. */
  readonly user?: string;
  /** What that token allows. */
  readonly scope?: string;
  readonly headers?: Record<string, string>;
}

/** The built worker (`dist/main.js`), or another program that says where it listens, as a process of its own. */
export class HttpWorker {
  stdout = '';
  stderr = '';
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly #child: ChildProcess;

  /** @param env settings; nothing of this process's environment but PATH reaches it */
  constructor(env: Record<string, string>, main = MAIN) {
    this.#child = spawn(process.execPath, [main], {
      env: { PATH: process.env['PATH'], PORT: '0', HOST: '127.0.0.1', JWT_SECRET, NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout!.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.#child.stderr!.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    const forget = endWithParent(this.#child.pid as number);
    this.exited = new Promise((resolve) =>
      this.#child.once('close', (code, signal) => {
        forget();
        resolve({ code, signal });
      }),
    );
  }

  /** Resolves when it listens. */
  static async start(env: Record<string, string>, main = MAIN): Promise<HttpWorker> {
    const worker = new HttpWorker(env, main);
    const listens = until('the worker listens or ends', () => worker.#url !== undefined || worker.#child.exitCode !== null, 40_000);
    await listens.catch(() => undefined);
    if (worker.#url !== undefined) return worker;
    await worker.stop('SIGKILL');
    throw new Error(`the worker does not listen: ${worker.stderr}`);
  }

  get #url(): string | undefined {
    return /Listening at (http:\/\/[\d.]+:\d+)/.exec(this.stdout)?.[1];
  }

  async request(method: string, path: string, { body, user, scope, headers = {} }: Request = {}): Promise<Answer> {
    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(user === undefined ? {} : { authorization: `Bearer ${token({ sub: user, ...(scope === undefined ? {} : { scope }) })}` }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown>, headers: response.headers };
  }

  /** A document of a user, as soon as its run has written it. */
  async document(kind: string, id: string, user: string): Promise<Record<string, unknown>> {
    return until(`document ${kind}/${id} of ${user}`, async () => {
      const { status, body } = await this.request('GET', `/documents/${kind}/${encodeURIComponent(id)}`, { user });
      return status === 200 ? body : undefined;
    });
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    this.#child.kill(signal);
    return this.exited;
  }
}

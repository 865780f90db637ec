// `npm start`: set-up, a nats-server, the worker; and a clean end of all of them.

import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isUnderNpm } from './process.mjs';
import { print, ROOT, setUp } from './setup.mjs';

/** npm passes Ctrl-C on to a process that the terminal has told already; a second one by hand comes later. */
const SAME_SIGNAL_MS = 500;
const PARENT_POLL_MS = 500;

/** What to undo at the end, last first. */
/** @type {(() => Promise<void>)[]} */
const undo = [];
/** @type {Promise<void> | undefined} */
let stopping;
let killWorker = () => {};
const isStopping = () => stopping !== undefined;

async function start() {
  const ports = { nats: portFrom('NATS_PORT', 4222), http: portFrom('PORT', 3000) };
  await setUp({ project: 'src' });
  endWhenAsked();

  // Only now is there a node_modules to import these from.
  const { nextFreePort, startEmbeddedServer } = await import('./embedded-server.mjs');
  const { externalServer } = await import('./external-server.mjs');
  const { startWorker, untilReady } = await import('./worker.mjs');
  const { whatNext } = await import('./what-next.mjs');

  const { NATS_URL } = process.env;
  const nats = NATS_URL ? await externalServer(NATS_URL) : await startEmbeddedServer({ port: ports.nats, onProgress: print });
  undo.push(nats.stop);
  void nats.exited?.then(() => stop('the nats-server ended', 1));

  const { HOST } = process.env;
  const port = await nextFreePort(ports.http, HOST || undefined);
  if (port !== ports.http) print(`port ${ports.http} is taken: the worker listens on ${port} (PORT chooses another one)`);
  const jwtSecret = process.env['JWT_SECRET'] ?? developmentSecret();
  if (isStopping()) return;
  print('starting the worker');
  const worker = startWorker({ NATS_URL: nats.url, PORT: String(port), ...(jwtSecret === undefined ? {} : { JWT_SECRET: jwtSecret }) });
  undo.push(worker.stop);
  killWorker = worker.kill;
  void worker.exited.then(({ code, signal }) => stop(`the worker ended (${signal ?? code})`, code || 1));

  const http = `http://${HOST && !['0.0.0.0', '::'].includes(HOST) ? HOST : 'localhost'}:${port}`;
  if (await untilReady(http, () => !isStopping())) console.log(whatNext({ nats, http, jwtSecret }));
}

/**
 * @param {string} reason
 * @param {number} exitCode
 */
function stop(reason, exitCode) {
  stopping ??= (async () => {
    print(`${reason}: stopping`);
    await starting.catch(() => {});
    for (const step of undo.toReversed()) await step();
    print('stopped');
    process.exit(exitCode);
  })();
}

/** Ctrl-C and the like, and the death of npm, which sends no signal. */
function endWhenAsked() {
  let first = 0;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      first ||= performance.now();
      if (performance.now() - first > SAME_SIGNAL_MS) killWorker();
      else stop(`${signal} (send it again to kill the worker)`, 0);
    });
  }
  const parent = process.ppid;
  if (isUnderNpm) setInterval(() => process.ppid !== parent && stop('npm has ended', 0), PARENT_POLL_MS).unref();
}

/**
 * @param {string} name
 * @param {number} byDefault
 */
function portFrom(name, byDefault) {
  const text = process.env[name] || String(byDefault);
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new Error(`${name} is ${JSON.stringify(text)}, which is no port`);
  return Number(text);
}

/** Kept, so that a token stays good over restarts. In production the worker demands one from its operator. */
function developmentSecret() {
  if (process.env['NODE_ENV'] === 'production') return undefined;
  const file = join(ROOT, '.data/jwt-secret');
  try {
    return readFileSync(file, 'utf8');
  } catch {
    const secret = randomBytes(32).toString('base64url');
    mkdirSync(join(ROOT, '.data'), { recursive: true });
    writeFileSync(file, secret, { mode: 0o600 });
    return secret;
  }
}

const starting = start();
starting.catch((error) => {
  console.error(error.message);
  stop('the start failed', error.exitCode ?? 1);
});

// One nats-server process: started, killed and started again at the same port and on the same data.

import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findNatsServer } from './find.js';
import { endWithParent, removeWithParent } from './guardian.js';
import { infoFrom } from './info.js';
import { pickPort } from './port.js';

/**
 * @typedef {object} NatsServerOptions
 * @property {string} [binary] path of a nats-server; default: what `findNatsServer()` finds
 * @property {number} [port] client port; default -1, a free one, which stays the server's over restarts
 * @property {number} [monitorPort] port of the HTTP monitoring endpoint; default -1, a free one
 * @property {string} [host] address to listen on; default 127.0.0.1
 * @property {string} [storeDir] where JetStream keeps its data, kept after stop(); default: a temporary directory,
 *   removed by stop()
 * @property {boolean} [jetstream] default true
 * @property {string} [name] server name; default `loopstack-<random>`
 * @property {string} [config] configuration text, such as `max_payload: 64KB` or `jetstream { sync_interval: always }`
 * @property {string} [configFile] a configuration file; `config` is read after it. Ports, name and address given here win
 *   over the file's; a `store_dir` in it is refused by the server, which gets its store directory from here.
 * @property {string[]} [args] further command-line arguments
 * @property {NodeJS.ProcessEnv} [env] variables that the configuration names, beside those of this process
 * @property {number} [startTimeoutMs] deadline for accepting connections, also for restarts; default 30,000
 * @property {number} [stopTimeoutMs] time from SIGTERM to SIGKILL in stop(); default 10,000
 * @property {AbortSignal} [signal] stops the server, or gives up its start
 */

/** @typedef {{ code: number | null, signal: NodeJS.Signals | null }} Exit */

/** The server said that a port is taken. */
export class PortTakenError extends Error {
  /** @override */
  name = 'PortTakenError';

  /**
   * @param {number} port
   * @param {string} log
   */
  constructor(port, log) {
    super(`nats-server: port ${port} is taken\n${log}`);
    this.port = port;
  }
}

/**
 * Starts a nats-server and resolves when it accepts connections, JetStream included. It ends with this process, however
 * this process ends (on Windows only with an orderly end).
 *
 * @param {NatsServerOptions} [options]
 * @returns {Promise<NatsServer>}
 * @throws {PortTakenError} when a port that was asked for is taken
 * @throws {Error} with the end of the server's log when it does not come up
 */
export async function startNatsServer(options = {}) {
  const binary = options.binary ?? (await findNatsServer()).path;
  for (let attempt = 1; ; attempt += 1) {
    const [port, monitorPort] = [await pickPort(options.port), await pickPort(options.monitorPort)];
    const server = new NatsServer({ ...options, binary, port, monitorPort });
    try {
      await server.restart();
      return server;
    } catch (error) {
      await server.stop();
      const isPicked = (/** @type {number} */ taken) =>
        (taken === port && port !== options.port) || (taken === monitorPort && monitorPort !== options.monitorPort);
      // Between picking a port and listening on it another process can take it.
      if (!(error instanceof PortTakenError && isPicked(error.port)) || attempt === 5) throw error;
    }
  }
}

export class NatsServer {
  /** Server name, as in `INFO` and in stream and consumer leader fields. */
  name;
  /** `nats://host:port` */
  url;
  /** Client port; the same over restarts. */
  port;
  /** Port of the HTTP monitoring endpoint; the same over restarts. */
  monitorPort;
  /** JetStream's directory. */
  storeDir;
  /** What the server printed, over all restarts. */
  logFile;

  #options;
  #host;
  #home;
  #temporary;
  #stopped = false;
  #keepHome = () => {};
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #child;
  /** @type {Promise<Exit>} */
  #exited = Promise.resolve({ code: null, signal: null });
  /** @type {() => void} */
  #abort = () => void this.stop();

  /**
   * @param {NatsServerOptions & { binary: string, port: number, monitorPort: number }} options
   */
  constructor(options) {
    this.#options = options;
    this.#host = options.host ?? '127.0.0.1';
    this.name = options.name ?? `loopstack-${Math.random().toString(36).slice(2, 10)}`;
    this.port = options.port;
    this.monitorPort = options.monitorPort;
    this.url = `nats://${this.#host === '0.0.0.0' ? '127.0.0.1' : this.#host}:${this.port}`;
    this.#temporary = options.storeDir === undefined;
    this.#home = options.storeDir === undefined ? mkdtempSync(join(tmpdir(), 'loopstack-nats-')) : resolve(options.storeDir);
    if (this.#temporary) this.#keepHome = removeWithParent(this.#home);
    mkdirSync(this.#home, { recursive: true });
    this.storeDir = this.#home;
    this.logFile = join(this.#home, 'nats-server.log');
    writeFileSync(this.logFile, '');
    options.signal?.addEventListener('abort', this.#abort, { once: true });
  }

  /** Process id of the running server, undefined when it is not running. */
  get pid() {
    return this.#child?.pid;
  }

  /** Resolves when the process that runs now has ended, by itself or not. Never rejects. */
  get exited() {
    return this.#exited;
  }

  /** `http://host:port` of the monitoring endpoint (`/healthz`, `/jsz`, `/varz`). */
  get monitorUrl() {
    return `http://${new URL(this.url).hostname}:${this.monitorPort}`;
  }

  /**
   * Starts the server again at the same ports and on the same data, after stopping it if it runs. Resolves when it
   * accepts connections.
   */
  async restart() {
    if (this.#stopped) throw new Error(`${this.name} was stopped for good`);
    await this.#end('SIGTERM');
    const deadline = performance.now() + (this.#options.startTimeoutMs ?? 30_000);
    while (true) {
      this.#options.signal?.throwIfAborted();
      const logFrom = readFileSync(this.logFile).length;
      this.#spawn();
      try {
        return await this.#accepting(deadline, logFrom);
      } catch (error) {
        await this.#end('SIGKILL');
        // On a restart a connection of some other process can sit on the port for a moment.
        if (!(error instanceof PortTakenError) || logFrom === 0 || performance.now() > deadline) throw error;
        await delay(100);
      }
    }
  }

  /**
   * Sends a signal and returns at once: `SIGSTOP` and `SIGCONT` to freeze a server, `SIGUSR2` for lame duck mode.
   *
   * @param {NodeJS.Signals} signal
   */
  signal(signal) {
    this.#child?.kill(signal);
  }

  /**
   * Ends the server and waits for it; the data stays for restart().
   *
   * @param {NodeJS.Signals} [signal] default SIGKILL, as a crash would
   * @returns {Promise<Exit>}
   */
  async kill(signal = 'SIGKILL') {
    await this.#end(signal);
    return this.#exited;
  }

  /** Ends the server for good and removes its temporary directory. May be called more than once. */
  async stop() {
    this.#stopped = true;
    this.#options.signal?.removeEventListener('abort', this.#abort);
    await this.#end('SIGTERM');
    if (this.#temporary) await rm(this.#home, { recursive: true, force: true, maxRetries: 3 });
    this.#keepHome();
  }

  #spawn() {
    const log = openSync(this.logFile, 'a');
    // To a file, not to a pipe: a parent whose event loop is blocked must not block the server. Detached: Ctrl-C in the
    // terminal is for the parent, which stops the server last.
    const env = { ...process.env, ...this.#options.env };
    const child = spawn(this.#options.binary, this.#arguments(), { stdio: ['ignore', log, log], env, detached: true });
    closeSync(log);
    const forget = child.pid === undefined ? () => {} : endWithParent(child.pid);
    this.#child = child;
    this.#exited = new Promise((settle) => {
      const ended = (/** @type {number | null} */ code, /** @type {NodeJS.Signals | null} */ signal) => {
        forget();
        if (this.#child === child) this.#child = undefined;
        settle({ code, signal });
      };
      child.once('exit', ended);
      child.once('error', (error) => {
        if (child.pid !== undefined) return;
        writeFileSync(this.logFile, `${error.message}\n`, { flag: 'a' });
        ended(null, null);
      });
    });
  }

  #arguments() {
    const { config, configFile, jetstream = true, monitorPort, args = [] } = this.#options;
    const list = ['-a', this.#host, '-p', String(this.port), '-n', this.name, '-m', String(monitorPort)];
    if (jetstream) list.push('-js', '-sd', this.#home);
    if (config !== undefined) {
      const file = join(this.#home, 'nats-server.conf');
      // An include is relative to the file that it stands in.
      const include = configFile === undefined ? '' : `include ${JSON.stringify(relative(dirname(file), resolve(configFile)))}\n`;
      writeFileSync(file, `${include}${config}\n`);
      list.push('-c', file);
    } else if (configFile !== undefined) {
      list.push('-c', resolve(configFile));
    }
    return [...list, ...args];
  }

  /**
   * @param {number} deadline
   * @param {number} logFrom where this process's part of the log begins
   */
  async #accepting(deadline, logFrom) {
    const child = this.#child;
    while (this.#child !== undefined && this.#child === child) {
      try {
        const answer = infoFrom(new URL(this.url).hostname, this.port, 1_000);
        const info = await Promise.race([answer, this.#exited.then(() => Promise.reject(new Error('ended')))]);
        // Another server may listen on the port while ours is about to find that out.
        if (info.server_name === this.name && (this.#options.jetstream === false || info.jetstream === true)) return;
      } catch {
        // not yet
      }
      if (performance.now() > deadline) throw new Error(`nats-server did not accept connections in time\n${this.#log(logFrom)}`);
      await delay(15);
    }
    const log = this.#log(logFrom);
    const taken = /:(\d+): bind: address already in use/i.exec(log);
    if (taken) throw new PortTakenError(Number(taken[1]), log);
    throw new Error(`nats-server ended before it accepted connections\n${log}`);
  }

  /** @param {number} from */
  #log(from) {
    const lines = readFileSync(this.logFile).subarray(from).toString().trimEnd().split('\n');
    const complaints = lines.filter((line) => !line.includes('[INF]'));
    return (complaints.length > 0 ? complaints : lines).slice(-20).join('\n');
  }

  /** @param {NodeJS.Signals} signal */
  async #end(signal) {
    const child = this.#child;
    if (child === undefined) return;
    child.kill(signal);
    // A frozen process takes no signal but SIGKILL until it runs again. Windows has no such signal.
    if (signal !== 'SIGKILL' && process.platform !== 'win32') child.kill('SIGCONT');
    const timer = setTimeout(() => child.kill('SIGKILL'), this.#options.stopTimeoutMs ?? 10_000);
    await this.#exited;
    clearTimeout(timer);
  }
}

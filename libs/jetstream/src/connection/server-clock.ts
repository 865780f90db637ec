import { localMs, monotonicMs, serverOffset, skewProblem, type ClockSkew } from '@loopstack/shared/contract';
import { requestFailure } from './client-library.js';
import type { NatsConnectionLike } from './nats-connection.js';
import { followConnection } from './connection.js';

/** Where the streams of a connection are: their server's time counts where that is another one than the connection's. */
export interface ClockSource {
  /** Head of the JetStream API's subjects. */
  readonly api: string;
  readonly stream: string;
}

const EVERY_MS = 60_000;
/** Between looks whether a minute is over, or this machine's clock was set: then it may have slept, and the monotonic clock with it. */
const LOOK_MS = 1000;
const ANSWER_MS = 1000;
/** Questions of one measurement, as long as no answer was quick: a slow one says little. */
const QUESTIONS = 3;
const QUICK_MS = 20;
/** Every user of an account may ask who he is, unless his permissions name what he may publish to and leave it out. */
const WHO_AM_I = '$SYS.REQ.USER.INFO';

const UNKNOWN = `the server has not told its time: allow this user to publish to ${WHO_AM_I}; until then deadlines and schedules go by the clock of this machine`;

/** What of the answers carries the time: who the server is, or the information about a stream. */
interface TimedAnswer {
  readonly server?: { readonly time?: string };
  readonly ts?: string;
}

const clocks = new WeakMap<NatsConnectionLike, ServerClock>();

/**
 * The clock of a connection's server, measured when it connects and each minute. Until it is measured, or where the server does not
 * tell its time to this user, it is this machine's clock. From then on no step of this machine's clock moves it.
 */
export class ServerClock {
  readonly #nc: NatsConnectionLike;
  #source: ClockSource | undefined;
  /** What to add to `monotonicMs`. */
  #offsetMs: number | undefined;
  #errorMs = 0;
  /** Subjects that this user may not publish to. Asked again over the next connection. */
  readonly #denied = new Set<string>();
  #measuring: Promise<void> | undefined;
  #settled = false;
  /** A question of the last measurement got no answer, which says nothing of the next one. */
  #unanswered = false;
  #measuredAtMs = 0;
  /** What this machine's clock was ahead of the monotonic one. */
  #wallMs = 0;
  #isOff = false;
  #isNeeded = false;
  /** Is told when the clocks begin to differ by more than a second, and when a time is needed that the server does not tell. */
  tell: (finding: string) => void = (finding) => process.emitWarning(finding, 'LoopstackWarning');

  private constructor(nc: NatsConnectionLike, source: ClockSource | undefined) {
    this.#nc = nc;
    this.#source = source;
    const timer = setInterval(() => this.#look(), LOOK_MS).unref();
    followConnection(nc, {
      reconnected: () => {
        this.#denied.clear();
        void this.measure();
      },
      closed: () => clearInterval(timer),
    });
    void this.measure();
  }

  /** One for each connection. */
  static of(nc: NatsConnectionLike, source?: ClockSource): ServerClock {
    let clock = clocks.get(nc);
    if (!clock) clocks.set(nc, (clock = new ServerClock(nc, source)));
    clock.#source ??= source;
    return clock;
  }

  /** Milliseconds since the epoch. */
  nowMs(): number {
    return this.#offsetMs === undefined ? localMs() : monotonicMs() + this.#offsetMs;
  }

  /** Now, as ISO 8601. */
  isoNow(): string {
    return new Date(this.nowMs()).toISOString();
  }

  /** Undefined while it is not known: the server was not reached, or does not tell its time to this user. */
  get skew(): ClockSkew | undefined {
    return this.#offsetMs === undefined ? undefined : { aheadMs: this.nowMs() - localMs(), errorMs: this.#errorMs };
  }

  /** What is wrong between the two clocks, and what to do; undefined if nothing is. */
  get finding(): string | undefined {
    const { skew } = this;
    return skew === undefined ? UNKNOWN : skewProblem(skew);
  }

  /** A deadline or a schedule is about to be made: says once that this machine's clock is all there is. */
  need(): void {
    if (this.#isNeeded) return;
    this.#isNeeded = true;
    if (this.skew === undefined) this.tell(UNKNOWN);
  }

  /** False until the server has told its time, or has said that it does not. */
  get isSettled(): boolean {
    return this.#settled;
  }

  /** Resolves when that is so, after a second at the latest. Never rejects. */
  async settled(): Promise<void> {
    if (this.#settled) return;
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise<void>((resolve) => (timer = setTimeout(resolve, ANSWER_MS)));
    await Promise.race([this.measure(), enough]);
    clearTimeout(timer);
  }

  /** Asks the server now. Never rejects. */
  measure(): Promise<void> {
    return (this.#measuring ??= this.#measure().finally(() => {
      this.#measuring = undefined;
      if (this.#offsetMs !== undefined || !this.#unanswered) this.#settled = true;
    }));
  }

  #look(): void {
    const nowMs = monotonicMs();
    const wasSet = Math.abs(localMs() - nowMs - this.#wallMs) > LOOK_MS;
    if (wasSet || nowMs - this.#measuredAtMs >= EVERY_MS) void this.measure();
  }

  async #measure(): Promise<void> {
    this.#measuredAtMs = monotonicMs();
    this.#wallMs = localMs() - this.#measuredAtMs;
    this.#unanswered = false;
    for (const subject of this.#subjects()) {
      if (this.#denied.has(subject)) continue;
      let best: number | undefined;
      for (let i = 0; i < QUESTIONS && (best === undefined || best > QUICK_MS); i++) {
        const tookMs = await this.#ask(subject);
        if (tookMs === undefined) break;
        if (best === undefined || tookMs < best) best = tookMs;
      }
      if (best === undefined) continue;
      this.#errorMs = Math.ceil(best / 2);
      break;
    }
    const problem = this.skew && skewProblem(this.skew);
    if (problem !== undefined && !this.#isOff) this.tell(problem);
    this.#isOff = problem !== undefined;
  }

  #subjects(): readonly string[] {
    if (this.#source === undefined) return [WHO_AM_I];
    const { api, stream } = this.#source;
    const info = `${api}.STREAM.INFO.${stream}`;
    // In another domain another server keeps the streams.
    return api === '$JS.API' ? [WHO_AM_I, info] : [info, WHO_AM_I];
  }

  /** How long the answer took; undefined where there was none with a time. */
  async #ask(subject: string): Promise<number | undefined> {
    if (this.#nc.isClosed() || this.#nc.isDraining()) return undefined;
    const askedAtMs = monotonicMs();
    try {
      const { server, ts } = (await this.#nc.request(subject, undefined, { timeout: ANSWER_MS })).json<TimedAnswer>();
      const answeredAtMs = monotonicMs();
      const serverMs = Date.parse(server?.time ?? ts ?? '');
      if (Number.isNaN(serverMs)) return undefined;
      this.#offsetMs = serverOffset(this.#offsetMs ?? localMs() - answeredAtMs, { askedAtMs, answeredAtMs, serverMs });
      return answeredAtMs - askedAtMs;
    } catch (error) {
      const failure = requestFailure(error);
      if (failure === 'denied') this.#denied.add(subject);
      else if (failure !== 'no-responders') this.#unanswered = true;
      return undefined;
    }
  }
}

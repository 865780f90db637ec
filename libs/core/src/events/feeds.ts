import {
  DURABLE_METADATA,
  HEADER,
  LoopstackError,
  capturedTokens,
  decodeRunEvent,
  eventDurable,
  eventRunId,
  messageId,
  type DurableKind,
  type Headers,
  type RunAddress,
  type WireNames,
  type MessageHeaders,
} from '@loopstack/shared';
import { assertCauseDepth, headersFromEvent } from './cause.js';
import type { EventOutcome, EventPolicy, EventUse } from './event-use.js';
import { useEvent, type EventInfo, type StartFrom } from './on-event.js';
import type { Reaction } from './on-run.js';
import type { Redactor } from '../declare/redact.js';
import { runNotice, type RunNotice } from '../run/run-notice.js';
import { NonRetryableError } from '../run/runner.js';
import type { WorkflowBinding } from './subscriptions.js';
import { useOutcome, type ResolvedChain } from './then.js';
import { reasonOf } from '../run/thrown.js';

/** An event as it is handled: delivered, or read back for a redrive. */
export interface StoredEvent {
  readonly stream: string;
  readonly subject: string;
  readonly sequence: number;
  /** Milliseconds since the epoch; when it was stored. */
  readonly timeMs: number;
  readonly data: Uint8Array;
  readonly headers: MessageHeaders;
  /** From 1. */
  readonly deliveries: number;
}

/** A durable on a stream of events, as it is wanted. */
export interface DesiredEventConsumer {
  readonly stream: string;
  readonly durable: string;
  readonly kind: DurableKind;
  readonly subject: string;
  readonly from: StartFrom;
  readonly leaseMs: number;
  /** What else its metadata says in clear. */
  readonly labels: Readonly<Record<string, string>>;
}

/** What consumes a durable of events, and how. */
export interface EventFeed {
  readonly consumer: DesiredEventConsumer;
  /** For people: in the log, in alarms, in health. */
  readonly title: string;
  /** Under which its dead letters are kept. */
  readonly address: RunAddress;
  readonly policy: EventPolicy;
  /** Events handled at a time, in one process. */
  readonly concurrency: number;
  /** Handles one event. Never rejects. */
  readonly handle: (event: StoredEvent) => EventOutcome | Promise<EventOutcome>;
  /** Keeps values of events and of errors out of what is written. */
  readonly redactor?: Redactor | undefined;
}

/** Publishes what an event comes to. */
export interface RunStarter {
  start(target: RunAddress, event: StoredEvent, use: EventUse, headers: Headers): Promise<EventOutcome>;
}

export const DONE: EventOutcome = { kind: 'done' };

/** Errors of what was to be published; any other one is the broker's, and passes. */
const OF_THE_EVENT: ReadonlySet<string> = new Set(['PAYLOAD_TOO_LARGE', 'OPTION_INVALID', 'CAUSE_TOO_DEEP']);

/** What an error says of the event whose run could not be started. */
export function notStarted(error: LoopstackError): EventOutcome {
  return { kind: OF_THE_EVENT.has(error.code) ? 'invalid' : 'unavailable', error };
}

/**
 * The run that an event starts, and the headers of its command. The same event is the same run, however often it comes.
 * @throws LoopstackError CAUSE_TOO_DEEP. Here and not only in the worker: a run that fails of it could be what the circle is made of
 */
export function runOfEvent(
  target: RunAddress,
  { stream, sequence, timeMs }: StoredEvent,
  headers: Headers,
  maxCauseDepth: number,
): { readonly runId: string; readonly headers: Headers } {
  const runId = eventRunId(target.workspace, target.workflow, stream, sequence, timeMs);
  assertCauseDepth(headers[HEADER.CAUSE_DEPTH], maxCauseDepth);
  return {
    runId,
    headers: {
      [HEADER.MSG_ID]: messageId(target, runId),
      [HEADER.RUN_ID]: runId,
      [HEADER.EVENT]: `${stream}:${sequence}`,
      ...headers,
    },
  };
}

/** Events that a binding has in work at a time, in one process: their commands are published side by side. */
const BINDING_CONCURRENCY = 64;
const LEASE_MS = 30_000;

/** A binding gives no event up but for what is wrong with it; the policy says how long it waits for a broker that is away. */
const FOR_EVER: EventPolicy = {
  retry: { attempts: Number.MAX_SAFE_INTEGER, delayMs: 1000, factor: 2, maxDelayMs: 30_000, jitter: 0.2 },
  afterwards: 'dead',
};

const { WORKSPACE, WORKFLOW, SERVICE } = DURABLE_METADATA;

class InfoOfEvent implements EventInfo {
  constructor(
    private readonly event: StoredEvent,
    private readonly filter: string,
  ) {}

  get subject(): string {
    return this.event.subject;
  }

  get tokens(): readonly string[] {
    return capturedTokens(this.filter, this.event.subject);
  }

  get headers(): Headers {
    return Object.fromEntries(this.event.headers.entries());
  }

  get stream(): string {
    return this.event.stream;
  }

  get sequence(): number {
    return this.event.sequence;
  }

  get time(): Date {
    return new Date(this.event.timeMs);
  }
}

/** A feed whose stream is not known yet. */
export type SubscriptionSpec = Omit<EventFeed, 'consumer'> & {
  readonly consumer: Omit<EventFeed['consumer'], 'stream'>;
  /** Undefined: the stream that captures the subject. */
  readonly stream: string | undefined;
};

/** An event starts a workflow. */
export function bindingFeed(
  names: WireNames,
  starter: RunStarter,
  maxDepth: number,
  { entry, binding }: WorkflowBinding,
): SubscriptionSpec {
  const { workspace, workflow } = entry;
  const { subject, from, stream } = binding;
  return {
    title: `${workspace}.${workflow} on ${subject}`,
    stream,
    consumer: {
      durable: eventDurable(names.prefix, 'on', workspace, workflow, subject),
      kind: 'on',
      subject,
      from,
      leaseMs: LEASE_MS,
      labels: { [WORKSPACE]: workspace, [WORKFLOW]: workflow },
    },
    address: { workspace, workflow },
    policy: FOR_EVER,
    concurrency: BINDING_CONCURRENCY,
    redactor: entry.options.redactor,
    handle: async (event) => {
      const use = await useEvent(binding, entry, { data: event.data, info: new InfoOfEvent(event, subject) }, maxDepth);
      return starter.start(entry, event, use, headersFromEvent(event.headers));
    },
  };
}

/** What happened to a run, from the message that recorded it; undefined for a stranger's message. */
function noticeOf(names: WireNames, event: StoredEvent): RunNotice | undefined {
  const address = names.parseEvent(event.subject);
  const recorded = address && decodeRunEvent(event.data);
  return address && recorded && runNotice(address, address.runId, recorded);
}

/** The end of a run starts the next workflow. */
export function chainFeed(names: WireNames, starter: RunStarter, maxDepth: number, chain: ResolvedChain): SubscriptionSpec {
  const { upstream, target, on, from } = chain;
  const parts = [upstream.workspace, upstream.workflow, target.workspace, target.workflow, on];
  return {
    title: `${upstream.workspace}.${upstream.workflow} then ${target.workspace}.${target.workflow}`,
    stream: names.streams.events,
    consumer: {
      durable: eventDurable(names.prefix, 'then', ...parts),
      kind: 'then',
      subject: names.event(upstream, '*'),
      from,
      leaseMs: LEASE_MS,
      labels: { [WORKSPACE]: upstream.workspace, [WORKFLOW]: upstream.workflow },
    },
    address: { workspace: target.workspace, workflow: target.workflow },
    policy: FOR_EVER,
    concurrency: BINDING_CONCURRENCY,
    handle: async (event) => {
      const run = noticeOf(names, event);
      if (run?.type !== on) return DONE;
      return starter.start(
        target,
        event,
        await useOutcome(chain, run, { stream: event.stream, sequence: event.sequence }, maxDepth),
        run.causeHeaders,
      );
    },
  };
}

/** An event of a run calls a method. */
export function reactionFeed(names: WireNames, service: string, reaction: Reaction): SubscriptionSpec {
  const { name, workspace, workflow, types, from, retry, concurrency } = reaction;
  return {
    title: `@OnRun ${name}`,
    stream: names.streams.events,
    consumer: {
      durable: eventDurable(names.prefix, 'run', service, name),
      kind: 'run',
      subject: names.event({ workspace, workflow }, '*'),
      from,
      leaseMs: LEASE_MS,
      labels: { [SERVICE]: service },
    },
    address: { workspace: service, workflow },
    policy: { retry, afterwards: 'abandon' },
    concurrency,
    handle: async (event) => {
      const run = noticeOf(names, event);
      if (!run || !types.has(run.type)) return DONE;
      try {
        await reaction.call(run);
        return DONE;
      } catch (cause) {
        const error = new LoopstackError('HANDLER_FAILED', { workflow: name, reason: reasonOf(cause) }, { cause });
        return { kind: cause instanceof NonRetryableError ? 'invalid' : 'failed', error };
      }
    },
  };
}

/**
 * A feed of a stream. Commands and events of runs start no run: each would start the next one. What follows a run is said with `then` and `@OnRun`.
 * @throws LoopstackError OPTION_INVALID
 */
export function feedOf(names: WireNames, spec: SubscriptionSpec, stream: string, redactor: Redactor | undefined): EventFeed {
  const { title, consumer } = spec;
  const { runs, events, schedules, dead } = names.streams;
  if (stream === runs || stream === schedules || (consumer.kind === 'on' && stream === events)) {
    throw new LoopstackError('OPTION_INVALID', { option: title, expected: 'events of an application', received: `the stream ${stream}` });
  }
  // A dead letter of a dead letter would be the next event of the same feed.
  const policy: EventPolicy = stream === dead ? { ...spec.policy, afterwards: 'abandon' } : spec.policy;
  return { ...spec, policy, redactor: spec.redactor ?? redactor, consumer: { ...consumer, stream } };
}

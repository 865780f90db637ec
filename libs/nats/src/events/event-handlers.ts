import {
  causeOfEvent,
  checkStartFrom,
  NonRetryableError,
  reasonOf,
  resolveRetry,
  withCause,
  type EventOutcome,
  type RetryOptions,
  type StartFrom,
  DONE,
  type SubscriptionSpec,
  type StoredEvent,
} from '@loopstack/core';
import {
  DURABLE_METADATA,
  LoopstackError,
  eventDurable,
  isSubjectFilter,
  parseStrictJson,
  unwrapPacket,
  type WireNames,
} from '@loopstack/shared';
import { BaseRpcContext, type MessageHandler } from '@nestjs/microservices';
import { isObservable, lastValueFrom } from 'rxjs';

/** What `@EventPattern(subject, options)` takes for a handler on this transport. All optional. */
export interface EventPatternOptions {
  /** Default: the stream that captures the subject. */
  readonly stream?: string;
  /** Default `now`. */
  readonly from?: StartFrom;
  /** Default: 5 attempts, the first wait 1 s; then the event is a dead letter. */
  readonly retry?: RetryOptions;
  /** Events handled at a time, in one process. Default 16. */
  readonly concurrency?: number;
}

/** `@Ctx()` of a handler. */
export class JetStreamContext extends BaseRpcContext<[StoredEvent]> {
  get subject(): string {
    return this.args[0].subject;
  }

  get stream(): string {
    return this.args[0].stream;
  }

  get sequence(): number {
    return this.args[0].sequence;
  }

  get time(): Date {
    return new Date(this.args[0].timeMs);
  }

  /** From 1. */
  get deliveries(): number {
    return this.args[0].deliveries;
  }

  header(name: string): string | undefined {
    return this.args[0].headers.get(name);
  }
}

/** Name under which dead letters of a handler are kept: what a name may not hold is written as `_`. */
function deadName(subject: string): string {
  return subject.replaceAll(/[^A-Za-z0-9_-]/g, '_').slice(0, 64);
}

/** Calls `work` between the transport's processing hooks. */
export type AroundHandler = (context: JetStreamContext, work: () => Promise<void>) => Promise<void>;

export interface HandlerOptions {
  readonly names: WireNames;
  /** Whose replicas share the durables. */
  readonly service: string | undefined;
  /** Levels of a body. */
  readonly maxDepth: number;
  readonly around: AroundHandler;
}

/** Handlers of Nest's own `@EventPattern`, with the settlement of everything else here. @throws LoopstackError BOOT_FAILED */
export function handlerFeeds(handlers: ReadonlyMap<string, MessageHandler>, options: HandlerOptions): readonly SubscriptionSpec[] {
  const { service } = options;
  const problems: string[] = [];
  const plans: SubscriptionSpec[] = [];
  for (const [pattern, handler] of handlers) {
    if (!handler.isEventHandler) {
      problems.push(
        `@MessagePattern ${pattern}: a stream answers no requests; connect Nest's own NATS transport beside this one and name it: @MessagePattern('${pattern}', Transport.NATS)`,
      );
    } else if (!isSubjectFilter(pattern)) {
      problems.push(`@EventPattern ${pattern}: a subject is needed; name the transport of a handler that is for another one`);
    } else if (service === undefined) {
      problems.push(`@EventPattern ${pattern}: name the service, whose replicas share its durable: LoopstackModule.forRoot({ service })`);
    } else {
      try {
        plans.push(handlerFeed(pattern, handler, service, options));
      } catch (error) {
        problems.push((error as Error).message);
      }
    }
  }
  if (problems.length > 0) throw new LoopstackError('BOOT_FAILED', { problems: problems.join('; ') });
  return plans;
}

function handlerFeed(subject: string, handler: MessageHandler, service: string, options: HandlerOptions): SubscriptionSpec {
  const { names, maxDepth, around } = options;
  const { stream, from, retry, concurrency = 16 } = (handler.extras ?? {}) as EventPatternOptions;
  const title = `@EventPattern ${subject}`;
  return {
    title,
    stream,
    consumer: {
      durable: eventDurable(names.prefix, 'event', service, subject),
      kind: 'event',
      subject,
      from: checkStartFrom(`${title}: from`, from ?? 'now'),
      leaseMs: 30_000,
      labels: { [DURABLE_METADATA.SERVICE]: service },
    },
    address: { workspace: service, workflow: deadName(subject) },
    policy: { retry: resolveRetry(`${title}: retry`, { attempts: 5, ...retry }), afterwards: 'dead' },
    concurrency,
    handle: (event) =>
      callHandler(title, maxDepth, event, (data, context) => around(context, async () => settled(await handler(data, context)))),
  };
}

/** A handler may answer with a stream: its end is the end of the handling. */
async function settled(returned: unknown): Promise<void> {
  if (isObservable(returned)) await lastValueFrom(returned, { defaultValue: undefined });
}

async function callHandler(
  title: string,
  maxDepth: number,
  event: StoredEvent,
  call: (data: unknown, context: JetStreamContext) => Promise<void>,
): Promise<EventOutcome> {
  let data: unknown;
  try {
    data = unwrapPacket(parseStrictJson(event.data, maxDepth));
  } catch (error) {
    return { kind: 'invalid', error: error as LoopstackError };
  }
  try {
    const cause = causeOfEvent(event.headers);
    const context = new JetStreamContext([event]);
    await (cause ? withCause(cause, call, data, context) : call(data, context));
    return DONE;
  } catch (cause) {
    const error = new LoopstackError('HANDLER_FAILED', { workflow: title, reason: reasonOf(cause) }, { cause });
    return { kind: cause instanceof NonRetryableError ? 'invalid' : 'failed', error };
  }
}

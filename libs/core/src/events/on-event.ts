import 'reflect-metadata';
import type { Type } from '@nestjs/common';
import { LoopstackError, filtersOverlap, isSubjectFilter, invalidOption, isUserId, parseStrictJson, type Headers } from '@loopstack/shared';
import { readEvent, type EventTarget, type EventUse } from './event-use.js';

/** Where in a stream a new binding begins: with what comes from now on, everything that is kept, a time, or a sequence. */
export type StartFrom = 'now' | 'all' | Date | number;

/** Where an event comes from. */
export interface EventInfo {
  readonly subject: string;
  /** What the wildcards of the binding's subject stand for, in order: `['eu']` for `orders.*.paid` and `orders.eu.paid`. */
  readonly tokens: readonly string[];
  readonly headers: Headers;
  readonly stream: string;
  readonly sequence: number;
  /** When it was stored. */
  readonly time: Date;
}

/** A function of an event whose type the application knows: `(event: OrderCreated) => …`. */
type OfEvent<T> = { read(event: unknown, info: EventInfo): T | Promise<T> }['read'];

/** An event that starts a workflow. */
export interface EventBinding<Payload = unknown> {
  /** Subject of the events; `*` stands for one token, `>` at the end for all further ones. */
  readonly subject: string;
  /** Payload of the run. What it throws makes the event a dead letter. Default: the event itself. */
  readonly map?: OfEvent<Payload>;
  /** On whose behalf the run is. Default: the field `userId` of the event. */
  readonly userId?: string | OfEvent<string>;
  /** Events for which it is false start nothing. Default: all are wanted. */
  readonly when?: OfEvent<boolean>;
  /** Where the binding begins when it is new; fixed from then on. Default `now`. */
  readonly from?: StartFrom;
  /** The stream that holds the events. Default: the one that captures the subject. */
  readonly stream?: string;
  /** How the body is given to these functions: parsed, as text, or as it is (`Uint8Array`). Default `json`. */
  readonly format?: 'json' | 'text' | 'bytes';
}

export interface ResolvedBinding {
  readonly subject: string;
  readonly map: OfEvent<unknown> | undefined;
  readonly userId: string | OfEvent<string> | undefined;
  readonly when: OfEvent<boolean> | undefined;
  readonly from: StartFrom;
  readonly stream: string | undefined;
  readonly format: 'json' | 'text' | 'bytes';
}

/** An event as a broker delivers it. */
export interface ArrivedEvent {
  readonly data: Uint8Array;
  readonly info: EventInfo;
}

/** @throws LoopstackError OPTION_INVALID naming `option` */
export function checkStartFrom(option: string, from: unknown): StartFrom {
  const valid =
    from === 'now' ||
    from === 'all' ||
    (from instanceof Date && !Number.isNaN(from.getTime())) ||
    (typeof from === 'number' && Number.isSafeInteger(from) && from >= 1);
  if (!valid) throw invalidOption(option, "'now', 'all', a Date, or a sequence from 1", from);
  return from;
}

/** A start as text, as it is kept beside the durable and told to people. */
export function describeStart(from: StartFrom): string {
  return from instanceof Date ? from.toISOString() : typeof from === 'number' ? `sequence ${from}` : from;
}

/** @throws LoopstackError OPTION_INVALID naming the option */
function resolveBinding(option: string, given: EventBinding): ResolvedBinding {
  const { subject, map, userId, when, stream, format = 'json' } = given;
  if (!isSubjectFilter(subject)) throw invalidOption(`${option}.subject`, 'a subject, in which * and > may stand for tokens', subject);
  for (const [name, value] of Object.entries({ map, when })) {
    if (value !== undefined && typeof value !== 'function') throw invalidOption(`${option}.${name}`, 'a function', value);
  }
  if (userId !== undefined && typeof userId !== 'function' && !isUserId(userId)) {
    throw invalidOption(`${option}.userId`, 'a function, or a string of 1 to 256 characters', userId);
  }
  if (!['json', 'text', 'bytes'].includes(format)) throw invalidOption(`${option}.format`, 'json, text or bytes', format);
  return Object.freeze({ subject, map, userId, when, from: checkStartFrom(`${option}.from`, given.from ?? 'now'), stream, format });
}

/**
 * The bindings of one workflow, complete. Two that one event could match are refused: that event would start two runs.
 * @throws LoopstackError OPTION_INVALID
 */
export function resolveBindings(option: string, given: readonly EventBinding[]): readonly ResolvedBinding[] {
  const resolved = given.map((binding, i) => resolveBinding(`${option}[${i}]`, binding));
  for (const [i, a] of resolved.entries()) {
    const rival = resolved
      .slice(0, i)
      .find((b) => filtersOverlap(a.subject, b.subject) && (a.stream === b.stream || !a.stream || !b.stream));
    if (rival) throw invalidOption(`${option}[${i}].subject`, `a subject that no event shares with ${rival.subject}`, a.subject);
  }
  return Object.freeze(resolved);
}

const ON_EVENT = Symbol.for('loopstack:on-event');

/**
 * Lets events start the workflow that the class is; the same as an entry of `@Workflow({ on: […] })`. Each subject and
 * workflow has its own durable consumer, and each event starts one run of each workflow.
 */
export function OnEvent<Payload extends object>(subject: string, options: Omit<EventBinding<Payload>, 'subject'> = {}) {
  return (target: Type<{ run(payload: Payload, ...rest: never[]): unknown }>): void => {
    // Decorators are applied from the last to the first.
    Reflect.defineMetadata(ON_EVENT, [{ ...options, subject }, ...declaredEvents(target)], target);
  };
}

/** What `@OnEvent` said on a class, from top to bottom. */
export function declaredEvents(target: object): readonly EventBinding[] {
  return (Reflect.getOwnMetadata(ON_EVENT, target) as readonly EventBinding[] | undefined) ?? [];
}

/** What an event comes to for a workflow. `binding.map` and its kin are called at most once each. */
export function useEvent(binding: ResolvedBinding, target: EventTarget, { data, info }: ArrivedEvent, maxDepth: number): Promise<EventUse> {
  let event: unknown;
  return readEvent(
    {
      wanted: () => {
        event = decodeEvent(binding.format, data, maxDepth);
        return binding.when ? binding.when(event, info) : true;
      },
      payload: () => (binding.map ? binding.map(event, info) : event),
      userId: () => {
        const { userId } = binding;
        if (typeof userId === 'function') return userId(event, info);
        return userId ?? (typeof event === 'object' && event !== null ? (event as { userId?: unknown }).userId : undefined);
      },
    },
    target,
    maxDepth,
    (reason, cause) => {
      const { stream, sequence } = info;
      return new LoopstackError(
        'EVENT_INVALID',
        { stream, sequence, binding: `${target.workspace}.${target.workflow}`, reason },
        { cause },
      );
    },
  );
}

const decoder = new TextDecoder('utf-8', { fatal: true });

function decodeEvent(format: ResolvedBinding['format'], data: Uint8Array, maxDepth: number): unknown {
  if (format === 'bytes') return data;
  if (format === 'json') return parseStrictJson(data, maxDepth);
  try {
    return decoder.decode(data);
  } catch {
    throw new LoopstackError('BODY_NOT_UTF8');
  }
}

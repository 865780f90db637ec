import { DURABLE_METADATA, LoopstackError, isEventDurable, type DurableKind, type WireNames } from '@loopstack/shared/contract';
import { pausedUntil } from './desired-consumers.js';
import { consumerNames, ERR_CODE, orUndefined, type ConsumerInfo, type JetStreamApi } from '@loopstack/jetstream';

/** A durable of ours on a stream of events. */
export interface BindingInfo {
  readonly durable: string;
  readonly stream: string;
  /** `on`: a subject starts a workflow; `then`: a chain; `run`: `@OnRun`; `event`: `@EventPattern`. */
  readonly kind: DurableKind;
  readonly subject: string;
  /** Where it began. */
  readonly from: string;
  /** Of `on` and `then`. */
  readonly workspace?: string;
  readonly workflow?: string;
  /** Of `run` and `event`. */
  readonly service?: string;
  /** Events that were not delivered yet. */
  readonly pending: number;
  /** Events that were delivered and are not settled. */
  readonly unsettled: number;
  /** A running process asks for its events now. */
  readonly consumed: boolean;
  /** ISO 8601, when an event was last delivered, or one acknowledged; undefined: never. */
  readonly lastActive?: string;
  /** ISO 8601: an operator paused it until then. */
  readonly pausedUntil?: string;
}

interface StreamNames {
  readonly total: number;
  readonly streams?: readonly string[] | null;
}

/** The bindings that exist on the server, of all applications. A binding outlives its declaration: only `remove` ends it. */
export class Bindings {
  readonly #api: JetStreamApi;
  readonly #names: WireNames;

  constructor(api: JetStreamApi, names: WireNames) {
    this.#api = api;
    this.#names = names;
  }

  /** All bindings of this prefix, on every stream of the account. */
  async list(): Promise<readonly BindingInfo[]> {
    const found: BindingInfo[] = [];
    for (const stream of await this.#streams()) {
      const durables = (await unlessGone(consumerNames(this.#api, stream))) ?? [];
      for (const durable of [...durables].filter((name) => isEventDurable(this.#names.prefix, name))) {
        const info = await unlessGone(this.#api.consumerInfo(stream, durable));
        if (info) found.push(bindingInfo(stream, info));
      }
    }
    return found;
  }

  /**
   * Removes a binding that no process consumes any more; its events are not kept for it from then on.
   * @param durable name of its durable, as `list()` tells it
   * @param stream needed where several have a durable of that name: the declaration was moved from one to the other
   * @throws LoopstackError BINDING_UNKNOWN, BINDING_IN_USE, OPTION_INVALID where the stream is needed
   */
  async remove(durable: string, stream?: string): Promise<void> {
    const named = isEventDurable(this.#names.prefix, durable)
      ? (await this.list()).filter((info) => info.durable === durable && (stream ?? info.stream) === info.stream)
      : [];
    if (named.length > 1) {
      const expected = `one of ${named.map((info) => info.stream).join(', ')}`;
      throw new LoopstackError('OPTION_INVALID', { option: 'stream', expected, received: 'none' });
    }
    const [binding] = named;
    if (!binding) throw new LoopstackError('BINDING_UNKNOWN', { binding: durable });
    if (binding.consumed) throw new LoopstackError('BINDING_IN_USE', { binding: durable });
    await orUndefined(this.#api.request(`CONSUMER.DELETE.${binding.stream}.${durable}`), ERR_CODE.CONSUMER_NOT_FOUND);
  }

  async #streams(): Promise<readonly string[]> {
    const all: string[] = [];
    for (;;) {
      const { total, streams } = await this.#api.read<StreamNames>('STREAM.NAMES', { offset: all.length });
      all.push(...(streams ?? []));
      if (!streams?.length || all.length >= total) return all;
    }
  }
}

/** Undefined for a stream or a durable that went away meanwhile; any other failure would make the list look complete. */
const unlessGone = <T>(asked: Promise<T>): Promise<T | undefined> =>
  orUndefined(asked, ERR_CODE.STREAM_NOT_FOUND, ERR_CODE.CONSUMER_NOT_FOUND);

function bindingInfo(stream: string, info: ConsumerInfo): BindingInfo {
  const metadata = (info.config['metadata'] ?? {}) as Readonly<Record<string, string | undefined>>;
  const { KIND, SUBJECT, FROM, WORKSPACE, WORKFLOW, SERVICE } = DURABLE_METADATA;
  const until = pausedUntil(info);
  const lastActive = [info.delivered.last_active, info.ack_floor.last_active]
    .filter((time) => time !== undefined)
    .toSorted()
    .at(-1);
  const label = (key: 'workspace' | 'workflow' | 'service', name: string): object =>
    metadata[name] === undefined ? {} : { [key]: metadata[name] };
  return {
    durable: info.name,
    stream,
    kind: (metadata[KIND] ?? info.name.split('~')[1]) as DurableKind,
    subject: metadata[SUBJECT] ?? (info.config['filter_subject'] as string | undefined) ?? '',
    from: metadata[FROM] ?? '',
    ...label('workspace', WORKSPACE),
    ...label('workflow', WORKFLOW),
    ...label('service', SERVICE),
    pending: info.num_pending,
    unsettled: info.num_ack_pending,
    consumed: info.num_waiting > 0,
    ...(lastActive === undefined ? {} : { lastActive }),
    ...(until === undefined ? {} : { pausedUntil: until }),
  };
}

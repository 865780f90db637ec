import { PRIORITIES, type CatalogueEntry, type JsonSchema, type WireNames } from '@loopstack/shared/contract';
import { createHash } from 'node:crypto';
import { payloadOf, sorted } from './payload.js';
import {
  CLOUD_EVENT_HEADERS,
  COMMAND_HEADERS,
  DEAD_LETTER_HEADERS,
  NAME,
  RUN_EVENT,
  cloudEventBody,
  commandBody,
  nestPacket,
} from './wire-schema.js';

export interface AsyncApiInfo {
  /** Default `Workflows of <prefix>`. */
  readonly title?: string;
  /** Default: a digest of the catalogue, so that it changes when the contract does. */
  readonly version?: string;
}

/** An AsyncAPI 3.0 document, as plain data. */
export interface AsyncApiDocument {
  readonly asyncapi: '3.0.0';
  readonly info: Readonly<Record<string, unknown>>;
  readonly defaultContentType: string;
  readonly channels: Readonly<Record<string, object>>;
  readonly operations: Readonly<Record<string, object>>;
  readonly components: { readonly messages: Readonly<Record<string, object>>; readonly schemas: Readonly<Record<string, JsonSchema>> };
}

type Ref = Readonly<Record<'$ref', string>>;

const NATS = { nats: { bindingVersion: '0.1.0' } };

const ref = (...path: readonly string[]): Ref => ({ $ref: `#/${path.join('/')}` });
const prefixed = (head: string, parts: Readonly<Record<string, object>>): [string, object][] =>
  Object.entries(parts).map(([name, part]) => [`${head}.${name}`, part]);
/** A class name may have letters that a key of `components` may not. Injective: a class name has no `-`. */
const keyOf = (definition: string): string => definition.replace(/[^A-Za-z0-9_]/gu, (c) => `-${(c.codePointAt(0) ?? 0).toString(16)}-`);

/**
 * The AsyncAPI 3.0 document of the workers: what they receive and what they send, for each workflow.
 * @throws LoopstackError NAME_INVALID, OPTION_INVALID for a catalogue that no worker has written
 */
export function asyncApi(entries: readonly CatalogueEntry[], names: WireNames, info: AsyncApiInfo = {}): AsyncApiDocument {
  const workflows = sorted(entries);
  const version = createHash('sha256').update(JSON.stringify(workflows)).digest('hex').slice(0, 12);
  return {
    asyncapi: '3.0.0',
    info: {
      title: info.title ?? `Workflows of ${names.prefix}`,
      version: info.version ?? version,
      description: DESCRIPTION,
      tags: [...new Set(workflows.map(({ workspace }) => workspace))].map((name) => ({ name })),
    },
    defaultContentType: 'application/json',
    channels: Object.fromEntries(workflows.flatMap((entry) => channels(entry, names))),
    operations: Object.fromEntries(workflows.flatMap((entry) => operations(entry, names))),
    components: {
      messages: Object.fromEntries([...workflows.flatMap(messages), ['runEvent', RUN_EVENT_MESSAGE]]),
      schemas: Object.fromEntries([
        ...workflows.flatMap(schemas),
        ['runEvent', RUN_EVENT],
        ['commandHeaders', COMMAND_HEADERS],
        ['cloudEventHeaders', CLOUD_EVENT_HEADERS],
        ['deadLetterHeaders', DEAD_LETTER_HEADERS],
      ]),
    },
  };
}

const DESCRIPTION = [
  'A run is started by publishing a command to the run channel of its workflow. JetStream stores it: publish it as a request, and the reply says',
  '`{"stream":…,"seq":…}` when it is stored, with `"duplicate":true` if its `Nats-Msg-Id` was there already, or `{"error":…}`.',
  'What becomes of the run is told on its event channel, under the run id: the header `Loopstack-Run-Id` of the command, if it has one.',
  '`x-jetstream` names the stream that keeps a channel, and the durable consumers of the workers.',
].join('\n');

const RUN_EVENT_MESSAGE = {
  title: 'A transition of a run',
  summary: 'The last message of a subject is the state of the run, the subject is its history.',
  contentType: 'application/json',
  payload: ref('components', 'schemas', 'runEvent'),
  bindings: NATS,
};

const COMMAND_FORMS = ['command', 'nestPacket', 'cloudEvent', 'cloudEventBinary'] as const;

const addressKey = ({ workspace, workflow }: CatalogueEntry): string => `${workspace}.${workflow}`;

function channels(entry: CatalogueEntry, names: WireNames): [string, object][] {
  const head = addressKey(entry);
  const { streams } = names;
  const commands = Object.fromEntries(COMMAND_FORMS.map((form) => [form, ref('components', 'messages', `${head}.${form}`)]));
  const { title = head, description } = entry;
  const runId = { runId: { description: `Id of the run: ${String(NAME['pattern'])}` } };
  const common = { bindings: NATS, tags: [{ name: entry.workspace }] };
  return prefixed(head, {
    run: {
      address: names.run(entry),
      title,
      ...(description === undefined ? {} : { description }),
      messages: commands,
      ...common,
      'x-jetstream': { stream: streams.runs },
    },
    lane: {
      address: names.run(entry, 'high').replace('.high.', '.{lane}.'),
      title: `${title}, before or after the others`,
      parameters: { lane: { enum: PRIORITIES.filter((priority) => priority !== 'normal') } },
      description: entry.priorities
        ? 'The workflow takes high before normal before low, and starves none.'
        : 'This workflow takes all lanes in order of arrival.',
      messages: commands,
      ...common,
      'x-jetstream': { stream: streams.runs },
    },
    event: {
      address: names.event(entry, '{runId}'),
      title: `Events of ${title}`,
      parameters: runId,
      messages: { event: ref('components', 'messages', 'runEvent') },
      ...common,
      'x-jetstream': { stream: streams.events },
    },
    dead: {
      address: names.dead(entry),
      title: `Dead letters of ${title}`,
      messages: { deadLetter: ref('components', 'messages', `${head}.deadLetter`) },
      ...common,
      'x-jetstream': { stream: streams.dead },
    },
  });
}

function operations(entry: CatalogueEntry, names: WireNames): [string, object][] {
  const head = addressKey(entry);
  const operation = (action: 'send' | 'receive', channel: string, summary: string, durables: readonly string[] = []): object => ({
    action,
    channel: ref('channels', `${head}.${channel}`),
    summary,
    bindings: NATS,
    ...(durables.length === 0 ? {} : { 'x-jetstream': { durables } }),
  });
  const durables = entry.priorities ? PRIORITIES.map((priority) => names.durable(entry, priority)) : [names.durable(entry)];
  return prefixed(head, {
    receiveRun: operation('receive', 'run', `Runs it, at most ${entry.attempts} times, each at most ${entry.timeoutMs} ms.`, durables),
    receiveLane: operation('receive', 'lane', 'The same with a priority.', durables),
    sendEvent: operation('send', 'event', 'Tells each transition of a run.'),
    sendDead: operation('send', 'dead', 'Keeps what could not be done.'),
  });
}

const schemaKeys = (entry: CatalogueEntry) => {
  const head = addressKey(entry);
  // Names have no dot, so that no workflow and no definition has the key of another.
  return { payload: head, command: `${head}..command`, definition: (name: string) => `${head}.${keyOf(name)}` };
};

function schemas(entry: CatalogueEntry): [string, JsonSchema][] {
  const keys = schemaKeys(entry);
  const { schema, definitions, needed } = payloadOf(entry, (name) => ref('components', 'schemas', keys.definition(name)).$ref);
  return [
    [keys.payload, schema],
    [keys.command, commandBody(ref('components', 'schemas', keys.payload), needed)],
    ...Object.entries(definitions).map(([name, definition]): [string, JsonSchema] => [keys.definition(name), definition]),
  ];
}

function messages(entry: CatalogueEntry): [string, object][] {
  const head = addressKey(entry);
  const keys = schemaKeys(entry);
  const { needed } = payloadOf(entry);
  const payload = ref('components', 'schemas', keys.payload);
  const command = ref('components', 'schemas', keys.command);
  const headers = ref('components', 'schemas', 'commandHeaders');
  const json = { contentType: 'application/json', bindings: NATS };
  return prefixed(head, {
    command: { ...json, title: 'Run command', summary: 'The plain form. An absent payload is {}.', headers, payload: command },
    nestPacket: {
      ...json,
      title: "Run command from Nest's ClientProxy",
      summary: 'The packet that emit() of the NATS transport wraps around the plain form.',
      headers,
      payload: nestPacket(command),
    },
    cloudEvent: {
      ...json,
      title: 'Run command as a CloudEvent, structured mode',
      summary: 'Equal source and id are one run.',
      contentType: 'application/cloudevents+json',
      headers,
      payload: cloudEventBody(payload, needed),
    },
    cloudEventBinary: {
      ...json,
      title: 'Run command as a CloudEvent, binary mode',
      summary: 'Attributes in headers, the payload as the body. Equal source and id are one run.',
      headers: ref('components', 'schemas', 'cloudEventHeaders'),
      payload,
    },
    deadLetter: {
      ...json,
      title: 'Dead letter',
      summary: 'The body of the command as it came, of any kind, and why it was given up, in headers.',
      headers: ref('components', 'schemas', 'deadLetterHeaders'),
      payload: {},
    },
  });
}

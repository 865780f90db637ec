import {
  HEADER,
  MAX_USER_ID,
  NAME_PATTERN,
  ORIGINAL_PREFIX,
  PLAIN_TEXT,
  RUN_EVENTS,
  RUN_EVENT_TYPES,
  isOutcome,
  type DeadReason,
  type FieldError,
  type JsonSchema,
  type RecordedError,
  type Refusal,
  type RunEvent,
} from '@loopstack/shared/contract';

// The shapes that shared's types describe, for those who do not compile against them. Each record has to name every
// member of its type, so a field that is new does not compile until it is described here.

/** Checkers may take a format for a remark. */
const TIME: JsonSchema = { type: 'string', format: 'date-time', pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}' };
const COUNT: JsonSchema = { type: 'integer', minimum: 0 };
const DIGITS: JsonSchema = { type: 'string', pattern: '^[0-9]+$' };
const CODE: JsonSchema = { type: 'string', pattern: '^[A-Z0-9_]+$', description: 'A code of the error catalogue.' };

export const NAME: JsonSchema = { type: 'string', pattern: NAME_PATTERN.source };

const USER_ID: JsonSchema = {
  type: 'string',
  minLength: 1,
  maxLength: MAX_USER_ID,
  pattern: PLAIN_TEXT,
  description: `On whose behalf the workflow runs. At most ${MAX_USER_ID} UTF-16 code units. No proof of identity.`,
};

const object = (properties: Readonly<Record<string, JsonSchema>>, required: readonly string[]): JsonSchema => ({
  type: 'object',
  properties,
  required,
});

const FIELD_ERRORS: JsonSchema = {
  type: 'array',
  items: object(
    {
      path: { type: 'string', description: 'Path inside the payload, such as `items[2].sku`; empty for the payload itself.' },
      rule: { type: 'string' },
      message: { type: 'string' },
      received: { type: 'string', description: 'JSON type of the value, never the value.' },
    } satisfies Record<keyof FieldError, JsonSchema>,
    ['path', 'rule', 'message', 'received'],
  ),
};

const RECORDED_ERROR = object(
  {
    code: CODE,
    name: { type: 'string', description: 'Class of what was thrown.' },
    message: { type: 'string' },
    errors: FIELD_ERRORS,
  } satisfies Record<keyof RecordedError, JsonSchema>,
  ['code', 'name', 'message'],
);

const REFUSAL: JsonSchema = {
  ...object(
    {
      count: COUNT,
      waitedMs: { ...COUNT, description: 'Sum of the times after which the command was to come back.' },
      by: { type: 'array', items: { type: 'string' }, description: 'Ids of the contracts that refuse the payload.' },
    } satisfies Record<keyof Refusal, JsonSchema>,
    ['count', 'waitedMs', 'by'],
  ),
  description: 'With queued: workers have refused the payload, and another release that runs may take it.',
};

/** The body of a run event. Readers ignore fields that they do not know. */
export const RUN_EVENT: JsonSchema = object(
  {
    type: {
      type: 'string',
      enum: RUN_EVENT_TYPES,
      description: RUN_EVENT_TYPES.map((type) => `${type}: ${isOutcome(type) ? 'outcome: ' : ''}${RUN_EVENTS[type].meaning}`).join('\n'),
    },
    at: { ...TIME, description: 'By the clock of the process that recorded it.' },
    attempt: { ...COUNT, description: 'Attempts started so far; 0 before the first.' },
    sequence: { ...COUNT, description: 'Sequence of the command in the runs stream.' },
    deliveries: { ...COUNT, description: 'With queued: deliveries of the command so far.' },
    result: { description: 'With succeeded: what the workflow returned, any JSON value; absent if it returned nothing.' },
    error: RECORDED_ERROR,
    nextAttemptAt: { ...TIME, description: 'With retrying.' },
    progress: { description: 'With progress: what the workflow says, any JSON value.' },
    beside: { type: 'boolean', description: 'With started and progress: other runs that may have ended a process run in this one.' },
    worker: { type: 'string', description: 'Name of the process that recorded it.' },
    refusal: REFUSAL,
    userId: USER_ID,
    correlationId: { type: 'string' },
    causeDepth: COUNT,
    content: { type: 'string', description: 'Of a run with an idempotency key: digests of payload and user.' },
    redriveOf: { ...COUNT, description: 'With queued after a redrive: sequence of the dead letter.' },
    replay: { type: 'string', description: 'With queued after a batch replay: `<replay>:<sequence>`.' },
  } satisfies Record<keyof RunEvent, JsonSchema>,
  ['type', 'at', 'attempt'],
);

const DEAD_REASONS: Readonly<Record<DeadReason, string>> = {
  invalid: 'the command or its payload was refused',
  untrusted: 'its signature was refused',
  failed: 'the workflow failed in its last attempt',
  timeout: 'the workflow did not end in time in its last attempt',
  'worker-died': 'the worker died in its last attempt',
  unroutable: 'no worker has ever served the workflow',
};

type DeadHeader = Extract<keyof typeof HEADER, `DEAD_${string}`>;

const DEAD_HEADER: Readonly<Record<DeadHeader, JsonSchema>> = {
  DEAD_REASON: {
    type: 'string',
    enum: Object.keys(DEAD_REASONS),
    description: Object.entries(DEAD_REASONS)
      .map(([reason, meaning]) => `${reason}: ${meaning}`)
      .join('\n'),
  },
  DEAD_CODE: CODE,
  DEAD_MESSAGE: { type: 'string', description: 'Written as the inside of a JSON string, in ASCII.' },
  DEAD_ERRORS: {
    type: 'string',
    contentMediaType: 'application/json',
    description: 'JSON, in ASCII: fields that were refused, each with path, rule, message, received.',
  },
  DEAD_ATTEMPTS: DIGITS,
  DEAD_STREAM: { type: 'string', description: 'Stream that has the command.' },
  DEAD_SEQUENCE: { ...DIGITS, description: 'Its sequence there.' },
  DEAD_SUBJECT: { type: 'string', description: 'Its subject, percent-encoded where it is not ASCII.' },
  DEAD_TIME: TIME,
  DEAD_USER: { type: 'string', description: 'Its user, percent-encoded.' },
  DEAD_BINDING: { type: 'string', description: 'Durable name of the binding, where this was an event and no command.' },
  DEAD_FORM: {
    enum: ['pointer', 'redacted'],
    description:
      'pointer: the body did not fit; redacted: the body is a copy without what is kept out. Read the original from the stream at the sequence.',
  },
};

const DEAD_ALWAYS = ['REASON', 'CODE', 'MESSAGE', 'ATTEMPTS', 'STREAM', 'SEQUENCE', 'SUBJECT', 'TIME'] as const;

/** Headers of a dead letter. Its body is that of the command, byte by byte. */
export const DEAD_LETTER_HEADERS: JsonSchema = {
  ...object(
    {
      [HEADER.RUN_ID]: NAME,
      ...Object.fromEntries(Object.entries(DEAD_HEADER).map(([name, schema]) => [HEADER[name as DeadHeader], schema])),
      [HEADER.REDRIVEN]: { ...DIGITS, description: 'Number of times that the run was redriven.' },
    },
    [HEADER.RUN_ID, ...DEAD_ALWAYS.map((name) => HEADER[`DEAD_${name}`])],
  ),
  description: `The headers of the command are kept; those that act on the server under ${ORIGINAL_PREFIX}….`,
};

/** Headers that a producer may set on a run command. None is needed. */
const COMMAND_HEADER: Readonly<Record<string, JsonSchema>> = {
  [HEADER.MSG_ID]: {
    type: 'string',
    description:
      'Deduplicates within the window of the stream. Begin it with `<workspace>.<workflow>:`, so that it cannot suppress the run of another.',
  },
  [HEADER.RUN_ID]: { ...NAME, description: 'Id of the run. Without it the id is derived from time and sequence of the stored command.' },
  [HEADER.CORRELATION_ID]: { type: 'string', description: 'Passed on to the events of the run, and to runs that it starts.' },
  [HEADER.EXPIRES_AT]: { ...TIME, description: 'A run that is not started by then ends as expired.' },
  [HEADER.CAUSE]: { type: 'string', description: 'Id of the run that starts this one.' },
  [HEADER.CAUSE_DEPTH]: DIGITS,
  [HEADER.SIGNER]: { type: 'string', description: 'Public NKey, where the worker wants commands to be signed.' },
  [HEADER.SIGNED_FROM]: { ...TIME, description: 'Of a delayed command: it is not stored before.' },
  [HEADER.SIGNED_UNTIL]: TIME,
  [HEADER.SIGNATURE]: {
    type: 'string',
    pattern: '^2\\.[A-Za-z0-9_-]{86}$',
    description: 'Covers the subject, the body and the other headers.',
  },
  [HEADER.TRACEPARENT]: { type: 'string', description: 'W3C Trace Context.' },
  [HEADER.TRACESTATE]: { type: 'string' },
};

export const COMMAND_HEADERS = object(COMMAND_HEADER, []);

const CE_TEXT: JsonSchema = { type: 'string', minLength: 1 };

/** CloudEvents 1.0, binary mode: attributes in headers, percent-encoded, and the payload as the body. */
export const CLOUD_EVENT_HEADERS = object(
  {
    ...COMMAND_HEADER,
    'ce-specversion': CE_TEXT,
    'ce-source': CE_TEXT,
    'ce-id': CE_TEXT,
    'ce-type': CE_TEXT,
    'ce-userid': USER_ID,
  },
  ['ce-specversion', 'ce-source', 'ce-id', 'ce-userid'],
);

/** CloudEvents 1.0, structured mode, around a payload. Equal `source` and `id` are one run. */
export function cloudEventBody(payload: JsonSchema, needsPayload: boolean): JsonSchema {
  return object(
    { specversion: CE_TEXT, source: CE_TEXT, id: CE_TEXT, type: CE_TEXT, userid: USER_ID, data: payload, data_base64: { not: {} } },
    ['specversion', 'source', 'id', 'userid', ...(needsPayload ? ['data'] : [])],
  );
}

/** The plain body of a run command. */
export function commandBody(payload: JsonSchema, needsPayload: boolean): JsonSchema {
  return {
    ...object({ payload, userId: USER_ID }, [...(needsPayload ? ['payload'] : []), 'userId']),
    additionalProperties: false,
  };
}

/** What Nest's NATS `ClientProxy.emit` wraps around a plain body. */
export function nestPacket(body: JsonSchema): JsonSchema {
  return object({ pattern: { description: 'Not read.' }, data: body }, ['pattern', 'data']);
}

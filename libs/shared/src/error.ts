import { printable } from './text.js';

/**
 * The one error catalogue. Every error that this project throws, answers or records has its code here, with the
 * text, the remedy, whether the same call may succeed later, and the HTTP status that Nest's HTTP layer answers with.
 * `docs/errors.md` is held against it by a test, both ways.
 */

/** One field that was refused. `received` is the JSON type of the value, never the value: payloads may hold secrets. */
export interface FieldError {
  /** Path inside the payload, such as `items[2].sku`; empty for the payload itself. */
  readonly path: string;
  /** Name of the rule that refused it, such as `isInt`. */
  readonly rule: string;
  readonly message: string;
  readonly received: string;
}

interface Entry {
  readonly text: string;
  readonly fix: string;
  readonly retryable: boolean;
  readonly status: number;
}

const entry = (status: number, text: string, fix: string, retryable = false): Entry => ({ text, fix, retryable, status });

/** `{name}` in a text is filled from the error's details. One code is one row. */
// prettier-ignore
export const ERRORS = {
  NAME_INVALID: entry(400, '{what} {value} is not a valid name', 'Use 1 to 64 of A-Z a-z 0-9 _ and -; __proto__ is not allowed.'),
  WORKSPACE_UNKNOWN: entry(404, 'There is no workspace {workspace}', 'Register the class with @Workspace in a module that this application imports, or check the spelling.'),
  WORKFLOW_UNKNOWN: entry(404, 'Workspace {workspace} has no workflow {workflow}', 'List the class in the workflows of @Workspace, or check the spelling.'),
  USER_MISSING: entry(400, 'userId is missing or invalid: expected a string of 1 to 256 characters, none of them a control character, received {received}', 'Pass the id of the user on whose behalf the workflow runs.'),
  WORKFLOW_UNSERVED: entry(404, 'No worker has ever served {workspace}.{workflow}', 'Start a worker that has it, then redrive the dead letter. If the name is wrong, replay it under the right one.'),
  PAYLOAD_INVALID: entry(400, 'The payload of {workflow} was refused: {summary}', 'Correct the fields named in `errors`.'),
  PAYLOAD_UNSERIALIZABLE: entry(400, 'The payload cannot be written as JSON: {reason}', 'Pass plain JSON data: no BigInt, no cycles, no functions, no NaN; an array for a Set, an object for a Map.'),
  PAYLOAD_TOO_LARGE: entry(413, 'The message has {bytes} bytes with its headers, the server accepts {limit}', 'Store the large part elsewhere and pass a reference, or raise max_payload of the server.'),
  OPTION_INVALID: entry(400, 'Option {option} is invalid: expected {expected}, received {received}', 'Correct the option.'),
  RUN_UNKNOWN: entry(404, 'There is no run {runId}', 'Check the id; runs are forgotten when they leave the streams (retention).'),
  RUN_AMBIGUOUS: entry(409, 'Several runs have the id {runId}: {runs}', 'Say which one you mean: pass { workspace, workflow, id } to get() and cancel(), and workspace and workflow with runId to redrive() and discard(); on the command line, <Workspace>.<Workflow>.<id>.'),
  RUN_FAILED: entry(500, 'Run {runId} failed: {reason}', 'See the dead letter of the run; redrive it when the cause is mended.'),
  RUN_CANCELED: entry(409, 'Run {runId} was canceled', 'Start a new run.'),
  RUN_EXPIRED: entry(409, 'Run {runId} was not started before its deadline', 'Start a new run, or give it a later deadline.'),
  RUN_FINISHED: entry(409, 'Run {runId} has already ended as {status}', 'Nothing is left to cancel.'),
  RUN_NOT_FAILED: entry(409, 'Run {runId} is not failed any more: it is {status}', 'Discard the dead letter; to run the command all the same, replay it as a new run.'),
  KEY_CONFLICT: entry(409, 'The idempotency key of run {runId} stands for another {what}', 'Use a separate key for each thing that must happen once. The same key with the same payload and user is a duplicate.'),
  RESULT_TIMEOUT: entry(504, 'Run {runId} had no outcome after {timeoutMs} ms', 'Ask again later with the run id; the run goes on.', true),
  RESULT_TOO_LARGE: entry(500, 'The result of {workflow} has {bytes} bytes, the limit is {limit}', 'Return a reference, or raise resultLimit, and max_payload of the server.'),
  RESULT_UNSERIALIZABLE: entry(500, 'The result of {workflow} cannot be written as JSON: {reason}', 'Return plain JSON data: an array for a Set, an object for a Map, a string for a BigInt.'),
  PUBLISH_TIMEOUT: entry(503, 'No acknowledgement for {subject} within {timeoutMs} ms: the run may or may not be stored', 'Start it again with the same idempotency key, or ask first: get() of an id in details.runIds tells whether it is stored; of a fanOut all are or none.', true),
  PUBLISH_UNAVAILABLE: entry(503, 'Nothing accepts {subject}: {reason}', 'Check that the server runs JetStream, that the stream exists and has a leader, and the permissions of this user.', true),
  PUBLISH_REFUSED: entry(503, 'The server refused {subject}: {reason}', 'See the reason.'),
  STREAM_FULL: entry(507, 'Stream {stream} is full: {reason}', 'Raise its limits, let workers catch up, or trim executed commands; queued runs are never dropped.', true),
  STORAGE_FAILED: entry(507, 'Stream {stream} stores nothing: its server answers, and has written nothing for {timeoutMs} ms; its disk is full, or fails', 'Make room on the disk of the nats-server, then restart it: it does not resume by itself. Acknowledged messages are kept (docs/reliability.md).', true),
  STREAM_UNAVAILABLE: entry(503, 'Stream {stream} does not answer: {reason}', 'Check that the server runs JetStream, that the stream exists and has a leader, and the permissions of this user.', true),
  SERVERS_INVALID: entry(400, 'The NATS servers are invalid: {reason}', 'Use nats://host:port, nats://user:password@host:port, nats://token@host:port or tls://host:port, separated by commas.'),
  CONNECTION_DENIED: entry(503, 'The NATS server at {servers} refuses this user: {reason}', 'Check the user and password, the token, the credentials file or the NKey, and that the account still exists.'),
  CONNECTION_FAILED: entry(503, 'No connection to {servers}: {reason}', 'Check the address, that a server runs there, and the credentials; waitOnFirstConnect: true waits for it.', true),
  CLOSED: entry(503, 'The connection is closed', 'Publish before the application shuts down.'),
  BATCH_REJECTED: entry(503, 'The batch of {size} runs was rejected as a whole: {reason}', 'Nothing of it was stored; correct the cause and send it again.', true),
  BATCH_UNAVAILABLE: entry(503, 'The batch of {size} runs found no place for {waitedMs} ms ({reason}): the stream has as many open batches as the server allows', 'Nothing was stored; send it again. The server drops an abandoned batch after 10 s. Find the producer that leaves batches open, or raise max_inflight_per_stream in jetstream.limits.batch of the server; runMany needs no batch.', true),
  BATCH_TOO_LARGE: entry(400, 'An all-or-nothing batch holds 1 to {limit} runs, received {size}', 'Use runMany for more.'),
  SERVER_TOO_OLD: entry(501, '{feature} needs nats-server {needed}, this one is {version}', 'Upgrade the server or do without the feature.'),
  SCHEDULE_INVALID: entry(400, 'The schedule {value} is invalid: {reason}', 'Use six fields (second minute hour day month weekday) or every: whole seconds, and a time zone by its IANA name, such as Europe/Berlin.'),
  SCHEDULE_UNKNOWN: entry(404, 'There is no schedule {id} for {workspace}.{workflow}', 'List the schedules.'),
  DEAD_LETTER_UNKNOWN: entry(404, 'There is no dead letter {sequence}', 'List the dead letters; this one was redriven, discarded, or has aged out.'),
  REPLAY_UNKNOWN: entry(404, 'There is no replay {id}', 'List the replays.'),
  REPLAY_EXISTS: entry(409, 'Replay {id} was started already', 'Resume it, or choose another id.'),
  REPLAY_BUSY: entry(409, 'Replay {id} is being worked on by {runner}', 'Wait for it, or pause or abort it.'),
  REPLAY_FINISHED: entry(409, 'Replay {id} has ended: {status}', 'Start a new one.'),
  REPLAY_CHANGED: entry(409, 'Replay {id} cannot go on: {reason}', 'Resume it with what it was started with, or start a new one after sequence {position}.'),
  REPLAY_LOST: entry(410, 'The place of replay {id} is lost: its checkpoints are no longer in {stream}', 'See what it has published, and start a new one for the rest.'),
  COMMAND_LOST: entry(410, 'The command of run {runId} is no longer in its stream', 'It was trimmed or deleted; start a new run.'),
  BODY_NOT_UTF8: entry(400, 'The body is not valid UTF-8', 'Send JSON encoded as UTF-8.'),
  BODY_NOT_JSON: entry(400, 'The body is not valid JSON: {reason}', 'Send one JSON object.'),
  BODY_NOT_IJSON: entry(400, 'The body is ambiguous JSON: {reason}', 'Parsers disagree on it (RFC 7493); send unique keys, well-formed strings, and large integers as strings.'),
  BODY_TOO_DEEP: entry(400, 'The body is nested deeper than {limit} levels', 'Flatten the payload.'),
  COMMAND_INVALID: entry(400, 'The run command was refused: {summary}', 'Send {"payload":{...},"userId":"..."}.'),
  UNTRUSTED: entry(403, 'The run command is not trusted: {reason}', 'Sign it with a key that the worker accepts, by version 2 of docs/security.md: every header is signed, Nats-Msg-Id and Loopstack-Run-Id among them.'),
  RELAYED: entry(403, 'The run command was not published for this workflow: {reason}', 'Publish commands yourself, and start runs from events with @Workflow({ on }), not with republish. If you did neither, find out who may publish requests in this account, and give tenants their own accounts (docs/security.md).'),
  HANDLER_FAILED: entry(500, '{workflow} failed: {reason}', 'Correct the workflow or its input, then redrive the dead letter.', true),
  HANDLER_TIMEOUT: entry(500, '{workflow} did not settle within {timeoutMs} ms', 'Raise its timeout, or find what never settles.', true),
  WORKER_DIED: entry(500, 'The worker died or lost its lease in attempt {attempt}, the last one', 'Find what ended the process (memory, signal, crash), then redrive the dead letter.'),
  EXPIRED: entry(410, 'The run was not started before {expiresAt}', 'Start a new run, or give it a later deadline.'),
  LEASE_LOST: entry(500, 'The lease of run {runId} was lost: another worker may have it', 'Nothing to do: the outcome of this execution is refused.'),
  CAUSE_TOO_DEEP: entry(508, 'The chain of causes of this run is {depth} long, the limit is {limit}', 'A workflow starts itself in a circle; break it or raise maxCauseDepth.'),
  EVENT_INVALID: entry(422, 'The event at {sequence} of stream {stream} cannot be used by {binding}: {reason}', 'Correct the binding or the producer, then redrive the dead letter.'),
  BINDING_UNAVAILABLE: entry(503, 'The event could not be given to binding {binding} again: {reason}', 'Start a worker that declares this binding: what it does with an event is in its code.', true),
  BINDING_UNKNOWN: entry(404, 'There is no binding {binding}', '`loopstack bindings` lists them.'),
  BINDING_IN_USE: entry(409, 'Binding {binding} is consumed by a running process', 'Stop the workers that declare it, or start them without it; they would make it anew.'),
  BINDING_START_FIXED: entry(500, 'Binding {binding} on stream {stream} exists with from = {actual}, wanted is {desired}', 'The start of a durable consumer cannot be changed. Put `from` back; or stop its workers, remove the binding (`loopstack bindings remove`), and start again: an event that has started a run starts no second one.'),
  STREAM_MISSING: entry(500, '{binding}: no stream captures {subject}', 'Make a stream for it, name one with `stream`, or let this application keep its own: NatsModule.forRoot({ inbound: true }).'),
  STREAM_AMBIGUOUS: entry(500, '{binding}: {subject} is captured by {streams}', 'Name one of them with `stream`.'),
  BROKER_MISSING: entry(500, 'This process has no broker to start runs with', 'Import NatsModule.forRoot() from @loopstack/nats beside LoopstackModule.forRoot(), with the role producer.'),
  BOOT_FAILED: entry(500, '{problems}', 'Correct what is named and start again.'),
  PACKAGE_DUPLICATED: entry(500, 'Several copies of {name} are loaded: {copies}', 'Keep one: npm ls shows who asks for each, npm dedupe joins what may be joined; else ask for one version everywhere. Leave all @loopstack packages out of a bundle, or none (docs/bundling.md).'),
  TOPOLOGY_CONFLICT: entry(500, '{kind} {name} exists with {field} = {actual}, needed is {desired}', 'Delete or rename it, choose another prefix, or set the option to what exists.'),
  TOPOLOGY_MISSING: entry(500, '{kind} {name} does not exist and provision is off', 'Create it, or let this user provision it.'),
} as const satisfies Record<string, Entry>;

export type ErrorCode = keyof typeof ERRORS;

export type ErrorDetails = Readonly<Record<string, unknown>>;

function fill(text: string, details: ErrorDetails): string {
  return text.replace(/\{(\w+)\}/g, (_, key: string) => {
    const value = details[key];
    return printable(typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined'));
  });
}

/**
 * Every error of this project. `code` names it for programs, `message` and `fix` tell people what happened and what
 * to do; `statusCode` is read by Nest's HTTP layer and by most HTTP frameworks.
 */
export class LoopstackError extends Error {
  readonly code: ErrorCode;
  readonly fix: string;
  readonly retryable: boolean;
  readonly statusCode: number;
  readonly details: ErrorDetails;
  readonly errors: readonly FieldError[];

  constructor(code: ErrorCode, details: ErrorDetails = {}, options: { cause?: unknown; errors?: readonly FieldError[] } = {}) {
    const found: Entry = ERRORS[code];
    super(fill(found.text, details), options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'LoopstackError';
    this.code = code;
    this.fix = found.fix;
    this.retryable = found.retryable;
    this.statusCode = found.status;
    this.details = details;
    this.errors = options.errors ?? [];
  }

  /** The shape in which errors leave a process: no stack, no cause, no details that were not meant for the message. */
  toJSON(): { statusCode: number; code: ErrorCode; message: string; fix: string; errors?: readonly FieldError[] } {
    const { statusCode, code, message, fix } = this;
    return this.errors.length > 0 ? { statusCode, code, message, fix, errors: this.errors } : { statusCode, code, message, fix };
  }
}

/** The JSON type of a value, for messages: what was received, without the value. */
export function jsonType(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value;
}

/** `path: message` of the first few fields, for a message that fits on a line. */
export function summarize(errors: readonly FieldError[]): string {
  const shown = errors.slice(0, 3).map((e) => (e.path === '' || e.message.startsWith(e.path) ? e.message : `${e.path}: ${e.message}`));
  if (errors.length > 3) shown.push(`and ${errors.length - 3} more`);
  return shown.join('; ');
}

import { printable } from './value/text.js';

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
  WORKSPACE_UNKNOWN: entry(404, 'There is no workspace {workspace}', 'Check the spelling, or register the @Workspace class in a module that this application imports.'),
  WORKFLOW_UNKNOWN: entry(404, 'Workspace {workspace} has no workflow {workflow}', 'Check the spelling, or list the class in the workflows of @Workspace.'),
  USER_MISSING: entry(400, 'userId is missing or invalid: expected 1 to 256 characters without control characters, received {received}', 'Pass the id of the user on whose behalf the workflow runs.'),
  WORKFLOW_UNSERVED: entry(404, 'No worker has ever served {workspace}.{workflow}', 'Start a worker that serves it, then redrive the dead letter. If the name is wrong, replay the command under the right name.'),
  PAYLOAD_INVALID: entry(400, 'The payload of {workflow} was refused: {summary}', 'Correct the fields named in `errors`.'),
  PAYLOAD_UNSERIALIZABLE: entry(400, 'The payload cannot be written as JSON: {reason}', 'Pass plain JSON data without BigInt, cycles, functions or NaN. Pass an array instead of a Set, and an object instead of a Map.'),
  PAYLOAD_TOO_LARGE: entry(413, 'The message has {bytes} bytes with its headers; the server accepts {limit}', 'Store the large part elsewhere and pass a reference, or raise max_payload of the server.'),
  OPTION_INVALID: entry(400, 'Option {option} is invalid: expected {expected}, received {received}', 'Correct the option.'),
  RUN_UNKNOWN: entry(404, 'There is no run {runId}', 'Check the id. Retention removes old runs from the streams.'),
  RUN_AMBIGUOUS: entry(409, 'Several runs have the id {runId}: {runs}', 'Name the workflow, too. Pass { workspace, workflow, id } to get() and cancel(), or workspace and workflow with runId to redrive() and discard(). On the command line, pass <Workspace>.<Workflow>.<id>.'),
  RUN_FAILED: entry(500, 'Run {runId} failed: {reason}', 'Read the dead letter of the run. Redrive it after you have fixed the cause.'),
  RUN_CANCELED: entry(409, 'Run {runId} was canceled', 'Start a new run.'),
  RUN_EXPIRED: entry(409, 'Run {runId} was not started before its deadline', 'Start a new run, or give it a later deadline.'),
  RUN_FINISHED: entry(409, 'Run {runId} has already ended as {status}', 'There is nothing left to cancel.'),
  RUN_NOT_FAILED: entry(409, 'Run {runId} is no longer failed: it is {status}', 'Discard the dead letter. To run the command again anyway, replay it as a new run.'),
  KEY_CONFLICT: entry(409, 'The idempotency key of run {runId} belongs to another {what}', 'Use a separate key for each thing that must happen once. The same key with the same payload and user is a duplicate.'),
  RESULT_TIMEOUT: entry(504, 'Run {runId} had no outcome after {timeoutMs} ms', 'The run continues. Ask again later with its id.', true),
  RESULT_TOO_LARGE: entry(500, 'The result of {workflow} has {bytes} bytes; the limit is {limit}', 'Return a reference, or raise resultLimit and max_payload of the server.'),
  RESULT_UNSERIALIZABLE: entry(500, 'The result of {workflow} cannot be written as JSON: {reason}', 'Return plain JSON data: an array instead of a Set, an object instead of a Map, a string instead of a BigInt.'),
  PUBLISH_TIMEOUT: entry(503, 'No acknowledgement for {subject} within {timeoutMs} ms: the run may or may not be stored', 'Start it again with the same idempotency key, or first call get() with an id from details.runIds to learn whether it is stored. A fanOut is stored as a whole or not at all.', true),
  PUBLISH_UNAVAILABLE: entry(503, 'Nothing accepts {subject}: {reason}', 'Check that the server runs JetStream, that the stream exists and has a leader, and that this user has the permissions.', true),
  PUBLISH_REFUSED: entry(503, 'The server refused {subject}: {reason}', 'Fix the cause that the reason names.'),
  STREAM_FULL: entry(507, 'Stream {stream} is full: {reason}', 'Raise its limits, let workers catch up, or trim executed commands. The stream never drops queued runs.', true),
  STORAGE_FAILED: entry(507, 'Stream {stream} stores nothing: its server answers but has written nothing for {timeoutMs} ms, so its disk is full or failing', 'Free space on the disk of the nats-server, then restart the server: it does not resume by itself. It keeps acknowledged messages (docs/reliability.md).', true),
  JETSTREAM_MISSING: entry(503, 'JetStream is not there for this user at {server}: {reason}', 'Start nats-server with JetStream (-js, or a jetstream {} block), enable it for the account of this user, and name the domain where the streams are behind a leaf node.'),
  STREAM_UNAVAILABLE: entry(503, 'Stream {stream} does not answer: {reason}', 'Check that the server runs JetStream, that the stream exists and has a leader, and that this user has the permissions.', true),
  SERVERS_INVALID: entry(400, 'The NATS servers are invalid: {reason}', 'Use nats://host:port, nats://user:password@host:port, nats://token@host:port or tls://host:port, separated by commas.'),
  CONNECTION_DENIED: entry(503, 'The NATS server at {servers} refuses this user: {reason}', 'Check the user and password, the token, the credentials file or the NKey, and that the account still exists.'),
  CONNECTION_FAILED: entry(503, 'No connection to {servers}: {reason}', 'Check the address and the credentials, and that a server runs there. With waitOnFirstConnect: true the client waits for it.', true),
  CLOSED: entry(503, 'The connection is closed', 'Publish before the application shuts down.'),
  BATCH_REJECTED: entry(503, 'The server rejected the whole batch of {size} runs: {reason}', 'The server stored none of the runs. Fix the cause and send the batch again.', true),
  BATCH_UNAVAILABLE: entry(503, 'The server did not accept the batch of {size} runs for {waitedMs} ms ({reason}): the stream has as many open batches as the server allows', 'The server stored none of the runs, so send the batch again. The server drops an abandoned batch after 10 s. Find the producer that leaves batches open, or raise max_inflight_per_stream in jetstream.limits.batch of the server. runMany needs no batch.', true),
  BATCH_TOO_LARGE: entry(400, 'An all-or-nothing batch holds 1 to {limit} runs, received {size}', 'Use runMany for more.'),
  SERVER_TOO_OLD: entry(501, '{feature} needs nats-server {needed}; this one is {version}', 'Upgrade the server, or do without the feature.'),
  SCHEDULE_INVALID: entry(400, 'The schedule {value} is invalid: {reason}', 'Use a cron expression of five fields (minute hour day month weekday) or six (with the second first), or { every } with whole seconds. Name a time zone as IANA does, such as Europe/Berlin.'),
  SCHEDULE_UNKNOWN: entry(404, 'There is no schedule {id} for {workspace}.{workflow}', 'List the schedules.'),
  DEAD_LETTER_UNKNOWN: entry(404, 'There is no dead letter {sequence}', 'List the dead letters. This one was redriven or discarded, or has aged out.'),
  REPLAY_UNKNOWN: entry(404, 'There is no replay {id}', 'List the replays.'),
  REPLAY_EXISTS: entry(409, 'Replay {id} already exists', 'Resume it, or choose another id.'),
  REPLAY_BUSY: entry(409, '{runner} is working on replay {id}', 'Wait until it ends, or pause or abort it.'),
  REPLAY_FINISHED: entry(409, 'Replay {id} has ended: {status}', 'Start a new one.'),
  REPLAY_CHANGED: entry(409, 'Replay {id} cannot continue: {reason}', 'Resume it with its original request, or start a new replay after sequence {position}.'),
  REPLAY_LOST: entry(410, 'The position of replay {id} is lost: its checkpoints are no longer in {stream}', 'Check which commands it has published, and start a new replay for the rest.'),
  COMMAND_LOST: entry(410, 'The command of run {runId} is no longer in its stream', 'It was trimmed or deleted. Start a new run.'),
  BODY_NOT_UTF8: entry(400, 'The body is not valid UTF-8', 'Send JSON encoded as UTF-8.'),
  BODY_NOT_JSON: entry(400, 'The body is not valid JSON: {reason}', 'Send one JSON object.'),
  BODY_NOT_IJSON: entry(400, 'The body is ambiguous JSON: {reason}', 'Parsers disagree on it (RFC 7493). Send unique keys and well-formed strings, and send large integers as strings.'),
  BODY_TOO_DEEP: entry(400, 'The body is nested deeper than {limit} levels', 'Flatten the payload.'),
  COMMAND_INVALID: entry(400, 'The run command was refused: {summary}', 'Send {"payload":{...},"userId":"..."}.'),
  UNTRUSTED: entry(403, 'The run command is not trusted: {reason}', 'Sign it with a key that the worker accepts, with version 2 of the signature (docs/security.md). It covers every header, including Nats-Msg-Id and Loopstack-Run-Id.'),
  RELAYED: entry(403, 'The run command was not published for this workflow: {reason}', 'Publish commands directly, and start runs from events with @Workflow({ on }) instead of republish. If you use neither, find out who may publish requests in this account, and give tenants their own accounts (docs/security.md).'),
  HANDLER_FAILED: entry(500, '{workflow} failed: {reason}', 'Fix the workflow or its input, then redrive the dead letter.', true),
  HANDLER_TIMEOUT: entry(500, '{workflow} did not settle within {timeoutMs} ms', 'Raise its timeout, or find the promise that never settles.', true),
  WORKER_DIED: entry(500, 'The worker died or lost its lease in attempt {attempt}, the last one', 'Find out why the process ended (memory, signal, crash), then redrive the dead letter.'),
  EXPIRED: entry(410, 'The run was not started before {expiresAt}', 'Start a new run, or give it a later deadline.'),
  LEASE_LOST: entry(500, 'The lease of run {runId} was lost: another worker may have it', 'You need not do anything: this execution can no longer record an outcome.'),
  CAUSE_TOO_DEEP: entry(508, 'The chain of causes of this run is {depth} long; the limit is {limit}', 'Break the loop in which a workflow starts itself, or raise maxCauseDepth.'),
  EVENT_INVALID: entry(422, 'The event at {sequence} of stream {stream} cannot be used by {binding}: {reason}', 'Fix the binding or the producer, then redrive the dead letter.'),
  BINDING_UNAVAILABLE: entry(503, 'Binding {binding} could not receive the event again: {reason}', 'Start a worker that declares this binding.', true),
  BINDING_UNKNOWN: entry(404, 'There is no binding {binding}', 'List the bindings with `loopstack bindings`.'),
  BINDING_IN_USE: entry(409, 'A running process consumes binding {binding}', 'Stop the workers that declare it, or deploy them without it. Otherwise they create it again.'),
  BINDING_START_FIXED: entry(500, 'Binding {binding} on stream {stream} exists with from = {actual}, but the code wants {desired}', 'A durable consumer keeps its start. Restore `from`, or stop the workers, remove the binding (`loopstack bindings remove`), and start them again. An event that has started a run does not start a second one.'),
  STREAM_MISSING: entry(500, '{binding}: no stream captures {subject}', 'Create a stream for it, name one with `stream`, or let this application keep its own with NatsModule.forRoot({ inbound: true }).'),
  STREAM_AMBIGUOUS: entry(500, '{binding}: several streams capture {subject}: {streams}', 'Name one of them with `stream`.'),
  BROKER_MISSING: entry(500, 'This process has no broker to start runs with', 'Import NatsModule.forRoot() from @loopstack/nats beside LoopstackModule.forRoot(), with the role producer.'),
  BOOT_FAILED: entry(500, '{problems}', 'Fix the problems and start again.'),
  PACKAGE_DUPLICATED: entry(500, 'Several copies of {name} are loaded: {copies}', 'Keep one: npm ls shows who asks for each, npm dedupe joins what may be joined; else ask for one version everywhere. Leave all @loopstack packages out of a bundle, or none (docs/bundling.md).'),
  TOPOLOGY_CONFLICT: entry(500, '{kind} {name} exists with {field} = {actual}; {desired} is needed', 'Delete or rename it, choose another prefix, or set the option to the existing value.'),
  TOPOLOGY_MISSING: entry(500, '{kind} {name} does not exist, and provision is off', 'Create it, or let this user provision it.'),
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

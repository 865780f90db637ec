import { LoopstackError, assertName, jsonType } from '@loopstack/shared/contract';
import { JSONPatch, compile, type JSONPathQuery, type JSONValue } from 'json-p3';
import type { EventMapping, PatchOperation, ReplayCommand } from '../request.js';

const refused = (option: string, expected: string, reason: unknown): LoopstackError =>
  new LoopstackError('OPTION_INVALID', { option, expected, received: reason instanceof Error ? reason.message : String(reason) });

function path(option: string, text: string): JSONPathQuery {
  try {
    return compile(text);
  } catch (error) {
    throw refused(option, 'JSONPath (RFC 9535)', error);
  }
}

/** A predicate over payloads. @throws LoopstackError OPTION_INVALID */
export function compileWhere(text: string): (payload: unknown) => boolean {
  if (typeof text !== 'string') throw refused('where', 'JSONPath (RFC 9535)', jsonType(text));
  const trimmed = text.trim();
  // A filter expression has a current node; a list with the payload alone makes it that.
  if (!trimmed.startsWith('$')) {
    const filter = path('where', `$[?${trimmed.replace(/^\?/, '')}]`);
    return (payload) => filter.match([payload as JSONValue]) !== undefined;
  }
  const query = path('where', trimmed);
  return (payload) => query.match(payload as JSONValue) !== undefined;
}

/** @throws LoopstackError OPTION_INVALID; what it returns throws COMMAND_INVALID where the patch does not apply */
export function compilePatch(operations: readonly PatchOperation[]): (command: ReplayCommand) => ReplayCommand {
  const build = (): JSONPatch => new JSONPatch(structuredClone(operations) as never);
  let patch: JSONPatch;
  try {
    patch = build();
  } catch (error) {
    throw refused('patch', 'JSON Patch (RFC 6902)', error);
  }
  // A value that is an object goes into the document as it is: a later operation, on the next document, would change it.
  const shared = operations.some(({ value }) => typeof value === 'object' && value !== null);
  return ({ headers, ...document }) => {
    try {
      const patched = (shared ? build() : patch).apply(document as JSONValue) as unknown as ReplayCommand;
      return headers === undefined ? patched : { ...patched, headers };
    } catch (error) {
      throw new LoopstackError('COMMAND_INVALID', { summary: `the patch does not apply: ${(error as Error).message}` }, { cause: error });
    }
  };
}

/** @throws LoopstackError OPTION_INVALID, NAME_INVALID; what it returns throws COMMAND_INVALID */
export function compileMapping({ workspace, workflow, user, userPath, payloadPath }: EventMapping): (event: unknown) => ReplayCommand {
  assertName('map.workspace', workspace);
  assertName('map.workflow', workflow);
  if ((user === undefined) === (userPath === undefined))
    throw refused('map', 'either user or userPath', user === undefined ? 'neither' : 'both');
  const userQuery = userPath === undefined ? undefined : path('map.userPath', userPath);
  const payloadQuery = payloadPath === undefined ? undefined : path('map.payloadPath', payloadPath);
  return (event) => ({
    workspace,
    workflow,
    payload: payloadQuery ? first(payloadQuery, event, 'map.payloadPath') : event,
    userId: user ?? asText(first(userQuery as JSONPathQuery, event, 'map.userPath'), 'map.userPath'),
  });
}

function first(query: JSONPathQuery, event: unknown, option: string): unknown {
  const found = query.match(event as JSONValue);
  if (!found) throw new LoopstackError('COMMAND_INVALID', { summary: `${option} finds nothing in the event` });
  return found.value;
}

function asText(value: unknown, option: string): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  throw new LoopstackError('COMMAND_INVALID', { summary: `${option} finds ${jsonType(value)} where a string is needed` });
}

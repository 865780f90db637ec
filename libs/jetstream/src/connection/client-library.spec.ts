import { errors } from '@nats-io/transport-node';
import { ErrorCode, NatsError } from 'nats';
import { connectionEvent, headerLibrary, requestFailure, type MessageProcessor, type RequestFailure } from './client-library.js';

const { NoRespondersError, PermissionViolationError, RequestError, TimeoutError, ConnectionError } = errors;
const denial = new PermissionViolationError('no', 'publish', 'a.b');

describe('a status of a connection', () => {
  it.each([
    ['of version 2', { type: 'disconnect', data: '127.0.0.1:4222' }, { kind: 'disconnected', server: '127.0.0.1:4222' }],
    ['of version 3', { type: 'disconnect', server: '127.0.0.1:4222' }, { kind: 'disconnected', server: '127.0.0.1:4222' }],
    ['of version 2', { type: 'reconnect', data: 'a:1' }, { kind: 'reconnected', server: 'a:1' }],
    ['of version 3', { type: 'reconnect', server: 'a:1' }, { kind: 'reconnected', server: 'a:1' }],
    ['of version 2', { type: 'error', data: 'STALE' }, { kind: 'error', reason: 'STALE' }],
    ['of version 3', { type: 'error', error: new ConnectionError('stale') }, { kind: 'error', reason: 'stale' }],
    [
      'of version 2',
      { type: 'error', data: 'PERMISSIONS_VIOLATION', permissionContext: { operation: 'publish', subject: 'a.b' } },
      { kind: 'denied', operation: 'publish', subject: 'a.b' },
    ],
    ['of version 3', { type: 'error', error: denial }, { kind: 'denied', operation: 'publish', subject: 'a.b' }],
    ['of version 2', { type: 'update', data: { added: [], deleted: [] } }, undefined],
    ['of version 3', { type: 'close' }, undefined],
  ])('%s: %j', (_, status, expected) => {
    expect(connectionEvent(status)).toEqual(expected);
  });
});

describe('the reason why a request failed', () => {
  it.each<[string, unknown, RequestFailure | undefined]>([
    ['a timeout of version 2', NatsError.errorForCode(ErrorCode.Timeout), 'timeout'],
    ['a timeout of version 3', new TimeoutError(), 'timeout'],
    ['no responders of version 2', NatsError.errorForCode(ErrorCode.NoResponders), 'no-responders'],
    ['no responders of version 3', new RequestError('no', { cause: new NoRespondersError('a') }), 'no-responders'],
    ['a permission of version 2', NatsError.errorForCode(ErrorCode.PermissionsViolation), 'denied'],
    ['a permission of version 3', new RequestError('no', { cause: denial }), 'denied'],
    ['a closed connection of version 2', NatsError.errorForCode(ErrorCode.ConnectionClosed), undefined],
    ['a closed connection of version 3', new RequestError('connection closed'), undefined],
    ['an error of another origin', new Error('another', { cause: new TimeoutError() }), undefined],
    ['nothing', undefined, undefined],
  ])('is found in %s', (_, error, expected) => {
    expect(requestFailure(error)).toBe(expected);
  });
});

it('finds no headers in a library that is built otherwise', () => {
  const processors: MessageProcessor[] = [
    { processMsg: () => undefined },
    {
      processMsg: () => {
        throw new Error('no');
      },
    },
  ];
  expect(processors.map((processor) => headerLibrary(processor))).toEqual([undefined, undefined]);
});

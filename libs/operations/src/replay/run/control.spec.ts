import type { ControlRequest } from '../replay-log.js';
import { applyRequest, type ControlState } from './control.js';

const asked = (request: ControlRequest['request'], at = 'now'): ControlRequest => ({ request, by: 'ada', at });

it.each<[string, ControlState, ControlRequest | undefined, ReturnType<typeof applyRequest>]>([
  ['no request', { request: 'run', seen: undefined }, undefined, { state: { request: 'run', seen: undefined } }],
  ['a request that it has seen', { request: 'run', seen: 'now' }, asked('pause'), { state: { request: 'run', seen: 'now' } }],
  [
    'a pause',
    { request: 'run', seen: 'before' },
    asked('pause'),
    { state: { request: 'pause', seen: 'now' }, action: { action: 'pause', by: 'ada', at: 'now' } },
  ],
  ['a second pause', { request: 'pause', seen: 'before' }, asked('pause'), { state: { request: 'pause', seen: 'now' } }],
  [
    'the end of a pause',
    { request: 'pause', seen: 'before' },
    asked('run'),
    { state: { request: 'run', seen: 'now' }, action: { action: 'resume', by: 'ada', at: 'now' } },
  ],
  [
    'an abort of a paused replay',
    { request: 'pause', seen: 'before' },
    asked('abort'),
    { state: { request: 'abort', seen: 'now' }, action: { action: 'abort', by: 'ada', at: 'now' } },
  ],
])('applies %s', (_, state, request, expected) => {
  expect(applyRequest(state, request)).toEqual(expected);
});

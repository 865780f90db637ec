import { isAlive, newState } from './replay-log.js';

describe('a replay', () => {
  const now = Date.now();
  const state = { ...newState('ada', new Date(now).toISOString()), runner: 'elsewhere:1' };
  it.each([
    ['is alive while it sends heartbeats', state, true],
    ['is dead after ten seconds of silence', { ...state, heartbeatAt: new Date(now - 10_000).toISOString() }, false],
    ['is not alive when it has ended', { ...state, status: 'completed' as const }, false],
  ])('%s', (_, given, alive) => {
    expect(isAlive(given, now)).toBe(alive);
  });
});

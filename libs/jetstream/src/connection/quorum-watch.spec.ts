import { jest } from '@jest/globals';
import { JetStreamApiError } from '../api/api-error.js';
import type { JetStreamApi } from '../api/jetstream-api.js';
import { QuorumWatch, hasMajority } from './quorum-watch.js';

describe('a stream with its majority', () => {
  const second = 1_000_000_000;
  const replicas = (...seconds: number[]) => seconds.map((s) => ({ active: s * second }));

  it.each([
    ['is one whose leader hears of all others', { leader: 'a', replicas: replicas(0, 1) }, true],
    ['is one whose leader hears of half of the others', { leader: 'a', replicas: replicas(1, 9) }, true],
    ['is not one whose leader hears of nobody', { leader: 'a', replicas: replicas(4, 4) }, false],
    ['is not one whose leader hears of one of four', { leader: 'a', replicas: replicas(1, 4, 4, 4) }, false],
    ['is one whose leader hears of two of four', { leader: 'a', replicas: replicas(1, 1, 4, 4) }, true],
    ['is not one of two servers whose leader is alone', { leader: 'a', replicas: replicas(4) }, false],
    ['is not one without a leader', { replicas: replicas(0, 0) }, false],
    ['is one with a single copy, as long as that answers', { leader: 'a' }, true],
    ['is one of a server without a cluster', undefined, true],
  ])('%s', (_, cluster, expected) => {
    expect(hasMajority(cluster ? { cluster } : {}, 3000)).toBe(expected);
  });
});

describe('the watch', () => {
  type Look = 'well' | 'silent' | 'leaderless' | 'unanswered' | 'late' | 'refused';
  const second = 1_000_000_000;
  afterEach(() => jest.restoreAllMocks());

  /** What a watch says after each of some looks; `reconnect` makes the connection anew before one. */
  async function after(looks: readonly (Look | 'reconnect')[], servers = ['a', 'b']): Promise<boolean[]> {
    const nc = { info: {}, options: { servers } };
    let nowMs = 0;
    jest.spyOn(performance, 'now').mockImplementation(() => nowMs);
    let look: Look = 'well';
    const answers: Record<Look, () => unknown> = {
      well: () => ({ cluster: { leader: 'a', replicas: [{ active: second }] } }),
      silent: () => ({ cluster: { leader: 'a', replicas: [{ active: 9 * second }] } }),
      leaderless: () => ({ cluster: { replicas: [] } }),
      unanswered: () => {
        nowMs += 1500;
        throw new JetStreamApiError(0, 'no answer', { cause: { code: 'TIMEOUT' } });
      },
      late: () => {
        nowMs += 2600;
        throw new JetStreamApiError(0, 'no answer', { cause: { code: 'TIMEOUT' } });
      },
      refused: () => {
        throw new JetStreamApiError(10059, 'stream not found');
      },
    };
    const api = { nc, request: async () => answers[look]() } as unknown as JetStreamApi;
    const watch = new QuorumWatch(api, 'RUNS');
    const said: boolean[] = [];
    for (const next of looks) {
      if (next === 'reconnect') nc.info = {};
      else {
        look = next;
        said.push(await watch.isCutOff());
      }
    }
    return said;
  }

  it.each([
    ['two silent looks in a row are enough', ['silent', 'silent'], [false, true]],
    ['an election is waited for', ['unanswered', 'leaderless', 'well', 'unanswered', 'unanswered'], [false, false, false, false, false]],
    ['three looks without an answer are too many', ['unanswered', 'leaderless', 'unanswered'], [false, false, true]],
    ['a process that is late to look says nothing of the server', ['late', 'late', 'late', 'late'], [false, false, false, false]],
    ['nor does a server that answers with an error', ['refused', 'refused', 'refused'], [false, false, false]],
    ['a new connection is a new beginning', ['silent', 'reconnect', 'silent', 'silent'], [false, false, true]],
    [
      'a server that is no better than the last one is kept twice as long',
      ['silent', 'silent', 'reconnect', 'silent', 'silent', 'silent', 'silent'],
      [false, true, false, false, false, true],
    ],
  ] as const)('%s', async (_, looks, expected) => {
    expect(await after(looks)).toEqual(expected);
  });

  it('has nothing to say where there is one server', async () => {
    expect(await after(['silent', 'silent', 'silent'], ['a'])).toEqual([false, false, false]);
  });
});

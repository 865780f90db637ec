import { hasMajority } from './majority.js';

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

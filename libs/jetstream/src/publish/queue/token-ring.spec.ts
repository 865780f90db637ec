import { TokenRing } from './token-ring.js';

describe('a ring of tokens', () => {
  it('gives tokens that count up, and each value back under its own', () => {
    const ring = new TokenRing<string>();
    expect([ring.add('a'), ring.add('b')]).toEqual([1, 2]);
    expect([ring.get(0), ring.get(1), ring.get(2), ring.get(3)]).toEqual([undefined, 'a', 'b', undefined]);
  });

  it('forgets what is deleted, once, and knows no token again', () => {
    const ring = new TokenRing<string>();
    const token = ring.add('a');
    expect([ring.delete(token), ring.delete(token), ring.delete(7)]).toEqual([true, false, false]);
    expect(ring.get(token)).toBeUndefined();
    expect(ring.add('b')).toBe(2);
  });

  it('agrees with a Map, whatever leaves first, and however much is held', () => {
    const ring = new TokenRing<number>();
    const map = new Map<number, number>();
    let seed = 7;
    const random = (below: number): number => (seed = (seed * 16807) % 2147483647) % below;
    const kept = ring.add(-1);
    map.set(kept, -1);
    for (let step = 0; step < 50_000; step++) {
      const adds = random(10) < (step % 20_000 < 10_000 ? 7 : 4);
      if (adds) map.set(ring.add(step), step);
      else {
        const token = 2 + random(step + 2);
        expect(ring.delete(token)).toBe(map.delete(token));
      }
    }
    expect([...ring]).toEqual([...map]);
    expect(map.size).toBeGreaterThan(1024);
  });

  it('visits what was held when it began, also where values come and go meanwhile', () => {
    const ring = new TokenRing<number>();
    for (let i = 0; i < 1000; i++) ring.add(i);
    const seen: number[] = [];
    for (const [token, value] of ring) {
      seen.push(value);
      ring.delete(token);
      if (value === 5) ring.delete(token + 1);
      ring.add(-value);
    }
    expect(seen).toEqual(Array.from({ length: 1000 }, (_, i) => i).filter((i) => i !== 6));
  });
});

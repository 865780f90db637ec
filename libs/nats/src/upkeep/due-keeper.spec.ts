import { dueFrom } from './due-keeper.js';

const MARGIN_MS = 60_000;

describe('due commands that were taken', () => {
  it.each([
    ['for the first time', undefined, { upTo: 9, atMs: 0 }, undefined],
    ['a moment ago', { upTo: 5, atMs: 0 }, { upTo: 9, atMs: 59_999 }, undefined],
    ['a minute ago: those before the last one go', { upTo: 5, atMs: 0 }, { upTo: 9, atMs: 60_000 }, 5],
    ['a minute ago, and none since', { upTo: 5, atMs: 0 }, { upTo: 5, atMs: 60_000 }, 5],
    ['and are to be taken again by another leader', { upTo: 9, atMs: 0 }, { upTo: 5, atMs: 60_000 }, undefined],
    ['one only', { upTo: 1, atMs: 0 }, { upTo: 3, atMs: 60_000 }, undefined],
  ])('%s', (_, before, now, from) => {
    expect(dueFrom(before, now, MARGIN_MS)).toBe(from);
  });
});

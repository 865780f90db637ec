import { isAtLeast } from './server-version.js';

it.each([
  ['2.12.0', true],
  ['2.12.0-RC.1', true],
  ['2.9.10', false],
  ['3.0.0', true],
  ['1.20.0', false],
])('%s is at least 2.12: %s', (version, expected) => {
  expect(isAtLeast(version, [2, 12])).toBe(expected);
});

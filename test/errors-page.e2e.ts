import { readFile } from 'node:fs/promises';
import { ERRORS } from '@loopstack/shared/contract';
import { errorsPageDifferences } from '../.ci/errors-page.mjs';

describe('docs/errors.md', () => {
  let page: string;
  beforeAll(async () => {
    page = await readFile(new URL('../docs/errors.md', import.meta.url), 'utf8');
  });

  it('documents every code of the catalogue as it is, and no other', () => {
    expect(errorsPageDifferences(page, ERRORS)).toEqual([]);
  });

  const { WORKFLOW_UNKNOWN, ...others } = ERRORS;

  it.each([
    ['a code that is not in the catalogue', others, 'WORKFLOW_UNKNOWN is documented and does not exist'],
    ['a code that is not documented', { ...ERRORS, NEW: WORKFLOW_UNKNOWN }, 'NEW is not documented'],
    ['another text', { ...ERRORS, WORKFLOW_UNKNOWN: { ...WORKFLOW_UNKNOWN, text: 'No' } }, 'WORKFLOW_UNKNOWN: text differs'],
    ['another remedy', { ...ERRORS, WORKFLOW_UNKNOWN: { ...WORKFLOW_UNKNOWN, fix: 'Wait' } }, 'WORKFLOW_UNKNOWN: fix differs'],
    ['another status', { ...ERRORS, WORKFLOW_UNKNOWN: { ...WORKFLOW_UNKNOWN, status: 500 } }, 'WORKFLOW_UNKNOWN: status differs'],
    [
      'another verdict on retries',
      { ...ERRORS, WORKFLOW_UNKNOWN: { ...WORKFLOW_UNKNOWN, retryable: true } },
      'WORKFLOW_UNKNOWN: retryable differs',
    ],
  ])('would be refused for %s', (_, catalogue, difference) => {
    expect(errorsPageDifferences(page, catalogue)).toEqual([difference]);
  });

  it('would be refused for a code that it documents twice', () => {
    expect(errorsPageDifferences(`${page}\n## CLOSED\n`, ERRORS)).toContain('a code is documented twice');
  });
});

import fc from 'fast-check';
import { ERRORS, LoopstackError, summarize, type ErrorCode } from './error.js';
import { printable } from './value/text.js';

const codes = Object.keys(ERRORS) as ErrorCode[];

describe('errors', () => {
  it('have one printable line each, with what the details say', () => {
    const details = fc.dictionary(
      fc.constantFrom('what', 'value', 'reason', 'runId', 'subject', 'workflow'),
      fc.oneof(fc.string({ unit: 'binary' }), fc.anything()),
    );
    fc.assert(
      fc.property(fc.constantFrom(...codes), details, (code, given) => {
        const error = new LoopstackError(code, given);
        // oxlint-disable-next-line no-control-regex -- it is about them
        expect(error.message).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
        expect(error.message.isWellFormed()).toBe(true);
        expect(JSON.parse(JSON.stringify(error))).toMatchObject({ code, statusCode: ERRORS[code].status, fix: ERRORS[code].fix });
      }),
      { numRuns: 1000 },
    );
  });

  it('leave stack, cause and details behind when they leave the process', () => {
    const error = new LoopstackError('PAYLOAD_INVALID', { workflow: 'F', summary: 's', secret: 'x' }, { cause: new Error('inner') });
    expect(Object.keys(error.toJSON()).sort()).toEqual(['code', 'fix', 'message', 'statusCode']);
  });

  it('have a text, a remedy and a status for each code', () => {
    for (const code of codes) {
      expect(ERRORS[code].text.length).toBeGreaterThan(5);
      expect(ERRORS[code].fix).toMatch(/\.$/);
      expect(ERRORS[code].status).toBeGreaterThanOrEqual(400);
    }
  });
});

describe('printable', () => {
  it('is one bounded line without control characters, whatever is given', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), fc.integer({ min: 1, max: 40 }), (text, limit) => {
        const line = printable(text, limit);
        // oxlint-disable-next-line no-control-regex -- it is about them
        expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
        expect(line.isWellFormed()).toBe(true);
        expect(line.length).toBeLessThanOrEqual(limit * 6 + 1);
      }),
    );
    expect(printable('a\nb\u001b[31m')).toBe('a\\u000ab\\u001b[31m');
  });
});

describe('summaries of field errors', () => {
  it('name the first three and count the others', () => {
    const field = (path: string) => ({ path, rule: 'isInt', message: 'must be an integer', received: 'string' });
    expect(summarize(['a', 'b', 'c', 'd', 'e'].map(field))).toBe(
      'a: must be an integer; b: must be an integer; c: must be an integer; and 2 more',
    );
    expect(summarize([{ ...field('a'), message: 'a must be there' }])).toBe('a must be there');
  });
});

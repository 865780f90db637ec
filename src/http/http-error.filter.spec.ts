import { BadRequestException, HttpException, NotFoundException, ServiceUnavailableException, UnauthorizedException } from '@nestjs/common';
import { LoopstackError } from '@loopstack/shared';
import { answerOf } from './http-error.filter.js';
import { Problem, PROBLEMS } from './problem.js';

const SECRET = 'hush';

describe('answerOf', () => {
  it('answers an error of a run as it answers itself', () => {
    const errors = [{ path: 'a', rule: 'isInt', message: 'a must be an integer', received: 'string' }];
    expect(answerOf(new LoopstackError('PAYLOAD_INVALID', { workflow: 'W', summary: 'a' }, { errors, cause: new Error(SECRET) }))).toEqual({
      statusCode: 400,
      code: 'PAYLOAD_INVALID',
      message: 'The payload of W was refused: a',
      fix: expect.any(String),
      errors,
    });
  });

  it.each(Object.entries(PROBLEMS))('answers %s with its status and remedy', (code, { status, message, fix }) => {
    expect(answerOf(new Problem(code as keyof typeof PROBLEMS))).toEqual({ statusCode: status, code, message, fix });
  });

  it.each<[unknown, number, string]>([
    [new UnauthorizedException(SECRET), 401, 'UNAUTHENTICATED'],
    [new NotFoundException(`Cannot GET /${SECRET}`), 404, 'ROUTE_UNKNOWN'],
    [new BadRequestException(SECRET), 400, 'BAD_REQUEST'],
    [new HttpException(SECRET, 418), 418, 'I_M_A_TEAPOT'],
    [new ServiceUnavailableException({ secret: SECRET }), 503, 'SERVICE_UNAVAILABLE'],
    // As the body parsers throw them.
    [Object.assign(new Error(SECRET), { statusCode: 413, status: 413, expose: true }), 413, 'BODY_TOO_LARGE'],
    [Object.assign(new Error(SECRET), { statusCode: 415, status: 415, expose: true }), 415, 'UNSUPPORTED_MEDIA_TYPE'],
    [Object.assign(new Error(SECRET), { statusCode: 500, status: 500 }), 500, 'INTERNAL'],
    [Object.assign(new Error(SECRET), { statusCode: '400' }), 500, 'INTERNAL'],
    [new Error(SECRET), 500, 'INTERNAL'],
    [new TypeError(SECRET), 500, 'INTERNAL'],
    [SECRET, 500, 'INTERNAL'],
    [{ message: SECRET, statusCode: 400 }, 500, 'INTERNAL'],
    [null, 500, 'INTERNAL'],
    [undefined, 500, 'INTERNAL'],
  ])('tells of %p no more than its kind', (thrown, statusCode, code) => {
    const answer = answerOf(thrown);
    expect(answer).toMatchObject({ statusCode, code, message: expect.any(String) });
    expect(JSON.stringify(answer)).not.toContain(SECRET);
  });

  it('adds the result of the checks to an answer that is not ready', () => {
    const result = { status: 'error', info: {}, error: {}, details: { loopstack: { status: 'down' } } };
    expect(answerOf(new ServiceUnavailableException(result))).toEqual({
      statusCode: 503,
      code: 'NOT_READY',
      message: 'Not ready',
      fix: 'See `details`.',
      details: { loopstack: { status: 'down' } },
    });
  });
});

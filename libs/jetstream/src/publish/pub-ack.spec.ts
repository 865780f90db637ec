import fc from 'fast-check';
import { AckReader, refusal } from './pub-ack.js';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('acknowledgements', () => {
  it('are read the same by the short way and the long one', () => {
    const sequence = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
    const stream = fc.stringMatching(/^[A-Z_]{1,20}$/);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('A', 'LOOPSTACK_RUNS'), stream, sequence, fc.boolean(), fc.boolean()), { maxLength: 20 }),
        (answers) => {
          const reader = new AckReader();
          for (const [often, rare, seq, useRare, duplicate] of answers) {
            const name = useRare ? rare : often;
            const text = `{"stream":"${name}", "seq":${seq}${duplicate ? ',"duplicate": true' : ''}}`;
            expect(reader.read(bytes(text))).toEqual({ stream: name, sequence: seq, duplicate });
          }
        },
      ),
    );
  });

  it('are told from errors and from what is no answer', () => {
    const reader = new AckReader();
    reader.read(bytes('{"stream":"S","seq":5}'));
    expect(
      reader.read(bytes('{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 5"},"stream":"S","seq":0}')),
    ).toEqual({
      error: { code: 400, err_code: 10071, description: 'wrong last sequence: 5' },
      stream: 'S',
    });
    for (const text of [
      '',
      '{}',
      'null',
      '{"stream":"S","seq":0}',
      '{"stream":"S","seq":}',
      '{"stream":"S","seq":5',
      '{"stream":"S","seq":5x}',
      '+OK',
    ]) {
      expect(reader.read(bytes(text))).toBeUndefined();
    }
  });

  it('never crash on arbitrary bytes', () => {
    const reader = new AckReader();
    reader.read(bytes('{"stream":"S","seq":5}'));
    fc.assert(
      fc.property(
        fc.uint8Array(),
        fc.boolean(),
        (data, prefixed) => void reader.read(prefixed ? Buffer.concat([bytes('{"stream":"S","seq":'), data]) : data),
      ),
    );
  });
});

describe('refusals', () => {
  it.each([
    [10071, 400, 'PUBLISH_REFUSED'],
    [10077, 503, 'STREAM_FULL'],
    [10047, 500, 'STREAM_FULL'],
    [10023, 503, 'STREAM_FULL'],
    [10054, 400, 'PAYLOAD_TOO_LARGE'],
    [10008, 503, 'PUBLISH_UNAVAILABLE'],
    [10158, 409, 'PUBLISH_UNAVAILABLE'],
    [10164, 400, 'PUBLISH_UNAVAILABLE'],
    [10177, 400, 'PUBLISH_REFUSED'],
  ])('err_code %i (status %i) is %s', (err_code, code, expected) => {
    const error = refusal('s', { code, err_code, description: 'because\n' }, 'S', 10);
    expect(error).toMatchObject({ code: expected, details: { errCode: err_code } });
    expect(error.message).not.toContain('\n');
  });

  it('without an err_code go by the status', () => {
    expect(refusal('s', { code: 503 }).code).toBe('PUBLISH_UNAVAILABLE');
    expect(refusal('s', { code: 400 }).code).toBe('PUBLISH_REFUSED');
  });
});

import { PassThrough } from 'node:stream';
import { LoopstackError } from '@loopstack/shared/contract';
import { UsageError } from './exit.js';
import { Terminal, type TerminalOptions } from './terminal.js';

const ESCAPE = '\u001b';

function terminal(
  isTTY: boolean,
  options: Partial<TerminalOptions> = {},
  typed = '',
): { it: Terminal; out: () => string; err: () => string } {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()].map((stream) =>
    Object.assign(stream, { isTTY }),
  );
  stdin?.end(typed);
  const streams = { stdin, stdout, stderr } as ConstructorParameters<typeof Terminal>[0];
  const read = (stream: PassThrough | undefined) => () => ((stream?.read() as Buffer | null) ?? '').toString();
  return {
    it: new Terminal(streams, { json: false, yes: false, color: true, ...options }),
    out: read(stdout),
    err: read(stderr),
  };
}

it('has colors on a terminal only, and only where they are wanted', () => {
  expect(terminal(true).it.style('red', 'x')).toContain(ESCAPE);
  expect(terminal(false).it.style('red', 'x')).toBe('x');
  expect(terminal(true, { color: false }).it.style('red', 'x')).toBe('x');
});

it('is quiet besides the result where it is piped, or says JSON', () => {
  for (const { it: one, err } of [terminal(false), terminal(true, { json: true })]) {
    one.note('besides');
    expect(err()).toBe('');
  }
  const { it: talking, err } = terminal(true);
  talking.note('besides');
  expect(err()).toBe('besides\n');
});

it('gives a result as text or as JSON', () => {
  const text = terminal(false);
  text.it.result({ a: 1 }, 'one');
  expect(text.out()).toBe('one\n');
  const json = terminal(false, { json: true });
  json.it.result({ a: 1 }, () => 'never made');
  json.it.line({ b: 2 }, 'two');
  expect(json.out()).toBe('{\n  "a": 1\n}\n{"b":2}\n');
});

it('aligns columns, and lets no control character through', () => {
  const { it: one } = terminal(false);
  expect(
    one.table(
      ['A', 'LONG'],
      [
        ['1', 'x'],
        ['22', `a${ESCAPE}[31mb\n`],
      ],
    ),
  ).toBe('A   LONG\n1   x\n22  a\\u001b[31mb\\u000a');
});

it.each([
  ['y\n', true],
  ['Yes\n', true],
  ['n\n', false],
  ['\n', false],
])('takes the answer %j as %s', async (typed, answer) => {
  expect(await terminal(true, {}, typed).it.confirm('Really?')).toBe(answer);
});

it('asks nobody where nobody can answer', async () => {
  await expect(terminal(false).it.confirm('Really?')).rejects.toThrow(UsageError);
  expect(await terminal(false, { yes: true }).it.confirm('Really?')).toBe(true);
});

it('tells an error with its fields and what to do', () => {
  const error = new LoopstackError(
    'PAYLOAD_INVALID',
    { workflow: 'W', summary: 's' },
    { errors: [{ path: 'a', rule: 'r', message: 'a is wrong', received: 'null' }] },
  );
  const text = terminal(false);
  text.it.error(error);
  expect(text.err()).toBe(
    'error: The payload of W was refused: s\n  a: a is wrong (received null)\n  Correct the fields named in `errors`.\n',
  );
  const json = terminal(false, { json: true });
  json.it.error(error);
  expect(JSON.parse(json.err())).toMatchObject({ error: { code: 'PAYLOAD_INVALID', errors: [{ path: 'a' }] } });
});

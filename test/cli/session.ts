import { readFileSync, writeFileSync } from 'node:fs';
import { PassThrough, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';

const MAIN = new URL('../../libs/cli/dist/main.js', import.meta.url).href;
const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** One command of a session: as it is typed, and what is answered to its questions. */
export interface Step {
  /** `loopstack …`, with quotes as in a shell; or a line that starts with `#`. */
  readonly typed: string;
  readonly answers?: readonly string[];
}

/** Splits a line as a shell does that knows only quotes. */
function words(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, single, double, plain]) => single ?? double ?? plain ?? '');
}

/** What both streams of a terminal show, in the order in which it was written. */
class Screen extends Writable {
  readonly isTTY = true;
  text = '';

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

type Main = (args: readonly string[], streams: unknown) => Promise<number>;

/** Runs the steps of a session at a terminal that is not there; returns what it showed. */
export async function record(server: string, steps: readonly Step[]): Promise<string> {
  const { main } = (await import(MAIN)) as { main: Main };
  const lines: string[] = [];
  for (const { typed, answers = [] } of steps) {
    lines.push(typed.startsWith('#') ? typed : `$ ${typed}`);
    if (typed.startsWith('#')) continue;
    const screen = new Screen();
    const stdin = Object.assign(new PassThrough(), { isTTY: true });
    stdin.end(answers.map((answer) => `${answer}\n`).join(''));
    const code = await main([...words(typed).slice(1), '--server', server, '--no-color'], { stdin, stdout: screen, stderr: screen });
    lines.push(stripVTControlCharacters(screen.text).replaceAll('\r', '').trimEnd());
    if (code !== 0) lines.push(`(exit code ${code})`);
    lines.push('');
  }
  return anonymous(lines.join('\n').trimEnd());
}

/**
 * The same text each time: ids, times, names and speeds are replaced by such as they could be, of the same width where it shows. The server
 * writes times without zeros at their end.
 */
function anonymous(text: string): string {
  const runs = new Map<string, string>();
  const run = (id: string): string => {
    const known = runs.get(id) ?? `01a2b3c4-d5e6-7f00-8a9b-${String(runs.size + 1).padStart(12, '0')}`;
    runs.set(id, known);
    return known;
  };
  const padded = (was: string, is: string): string => is.padEnd(was.length);
  return text
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, run)
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, '2026-01-31T09:00:00.000Z')
    .replaceAll(/\b\d\d:\d\d:\d\d\.\d{3}\b/g, '09:00:00.000')
    .replaceAll(/\d+(\.\d+)? (ms|s) ago( *)/g, (was) => padded(was, '1.0 s ago'))
    .replaceAll(/\d+(\.\d+)? (ms|s)\b(?! ago)/g, '1.0 s')
    .replaceAll(/\([\d,]+\/s\)/g, '(1,000/s)')
    .replaceAll(/\d+(\.\d+)? (B|KiB)\b( *)/g, (was) => padded(was, '1.0 KiB'))
    .replaceAll(/on [\w.-]+:\d+/g, 'on worker-1:4711')
    .replaceAll(/[\w.-]+@[\w.-]+/g, 'ada@laptop')
    .replaceAll(/nats-server \d+\.\d+\.\d+/g, 'nats-server 2.15.1')
    .replaceAll(/loopstack-[a-z0-9]{8}\b/g, 'nats-1');
}

/** For a comparison: how wide a column is depends on what was replaced. */
export const squeezed = (text: string): string =>
  text
    .split('\n')
    .map((line) => line.replaceAll(/ {2,}/g, '  ').trimEnd())
    .join('\n');

const marks = (name: string): readonly [string, string] => [`<!-- session: ${name} (a test regenerates it) -->`, '<!-- /session -->'];

/** The session between the marks of a document. */
export function recorded(file: string, name: string): string {
  const text = readFileSync(ROOT + file, 'utf8');
  const [begin, end] = marks(name);
  const from = text.indexOf(begin);
  const to = text.indexOf(end, from);
  if (from < 0 || to < 0) throw new Error(`${file} has no marks of the session ${name}`);
  return text
    .slice(from + begin.length, to)
    .replace(/^\s*```console\n/, '')
    .replace(/\n```\s*$/, '');
}

export function write(file: string, name: string, session: string): void {
  const text = readFileSync(ROOT + file, 'utf8');
  const [begin, end] = marks(name);
  const from = text.indexOf(begin) + begin.length;
  const to = text.indexOf(end, from);
  writeFileSync(ROOT + file, `${text.slice(0, from)}\n\n\`\`\`console\n${session}\n\`\`\`\n\n${text.slice(to)}`);
}

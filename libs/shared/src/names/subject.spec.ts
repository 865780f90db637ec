import fc from 'fast-check';
import { PRIORITIES, assertName, isName, wireNames } from './subject.js';

const name = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/).filter(isName);
const address = fc.record({ workspace: name, workflow: name });
const names = wireNames();

/** Whether the server would route `subject` to a stream that captures `filter`. */
function matches(filter: string, subject: string): boolean {
  const [want, have] = [filter.split('.'), subject.split('.')];
  return want.length === have.length && want.every((token, i) => token === '*' || token === have[i]);
}

describe('names', () => {
  it.each(['', 'a.b', 'a b', '*', '>', '__proto__', 'ä', 'a\n', '$JS', 'a/b', 'x'.repeat(65), 5, undefined, null, {}])(
    '%j is none',
    (value) => {
      expect(isName(value)).toBe(false);
      expect(() => assertName('workflow', value)).toThrow(/workflow .* is not a valid name/);
    },
  );

  it('are one token of the alphabet, and nothing else is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 70 }), (text) =>
        expect(isName(text)).toBe(/^[\w-]{1,64}$/.test(text) && text !== '__proto__'),
      ),
    );
  });

  it('a bad one is told without control characters, and not in full', () => {
    expect(() => assertName('workflow', `${'x'.repeat(500)}\u0000`)).toThrow(/^.{0,200}$/);
  });
});

describe('subjects', () => {
  it('are read back as they were written, each by its own reader only', () => {
    fc.assert(
      fc.property(address, name, fc.constantFrom(...PRIORITIES), (to, id, priority) => {
        expect(names.parseRun(names.run(to, priority))).toEqual({ ...to, priority });
        expect(names.parseEvent(names.event(to, id))).toEqual({ ...to, runId: id });
        expect(names.parseDead(names.dead(to))).toEqual(to);
        expect(names.parseSchedule(names.schedule(to, id))).toEqual({ ...to, id });
        for (const other of [names.event(to, id), names.dead(to), names.schedule(to, id), names.cancel(to, id), names.due(to)]) {
          expect(names.parseRun(other)).toBeUndefined();
        }
        expect(names.parseEvent(names.cancel(to, id))).toBeUndefined();
      }),
    );
  });

  it('are undefined for anything else', () => {
    const subject = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc
        .array(fc.constantFrom('loopstack', 'run', 'lane', 'high', 'mid', 'event', 'a', '*', '>', '', 'ä'), { maxLength: 7 })
        .map((tokens) => tokens.join('.')),
    );
    fc.assert(
      fc.property(subject, (text) => {
        const run = names.parseRun(text);
        if (run) expect(names.run(run, run.priority)).toBe(text);
        const event = names.parseEvent(text);
        if (event) expect(names.event(event, event.runId)).toBe(text);
      }),
      { numRuns: 2000 },
    );
  });

  it('are captured by one stream each', () => {
    fc.assert(
      fc.property(address, name, fc.constantFrom(...PRIORITIES), (to, id, priority) => {
        const { captures } = names;
        const streamsOf = (subject: string): string[] =>
          Object.entries(captures).flatMap(([stream, filters]) => (filters.some((filter) => matches(filter, subject)) ? [stream] : []));
        expect(streamsOf(names.run(to, priority))).toEqual(['runs']);
        expect(streamsOf(names.event(to, id))).toEqual(['events']);
        expect(streamsOf(names.cancel(to, id))).toEqual(['events']);
        expect(streamsOf(names.dead(to))).toEqual(['dead']);
        expect(streamsOf(names.schedule(to, id))).toEqual(['schedules']);
        expect(streamsOf(names.due(to, priority))).toEqual(['schedules']);
      }),
    );
  });

  it('of what is due become those of the command that it is', () => {
    fc.assert(
      fc.property(address, fc.constantFrom(...PRIORITIES), (to, priority) => {
        const due = names.due(to, priority);
        const [transform, ...others] = names.dueTransforms.filter(({ src }) => matches(src, due));
        expect(others).toEqual([]);
        const wildcards = due.split('.').filter((_, i) => transform?.src.split('.')[i] === '*');
        const command = transform?.dest.replace(/\{\{wildcard\((\d)\)\}\}/g, (_, n: string) => wildcards[Number(n) - 1] as string);
        expect(command).toBe(names.run(to, priority));
      }),
    );
  });

  it('with another prefix are no concern of this one', () => {
    const others = wireNames('other');
    const to = { workspace: 'W', workflow: 'F' };
    expect(names.parseRun(others.run(to))).toBeUndefined();
    expect(wireNames('loop').parseRun(names.run(to))).toBeUndefined();
    expect(() => wireNames('a.b')).toThrow('prefix');
  });
});

describe('durable names', () => {
  it('are shared by no two addresses, and are names that the server takes', () => {
    const lane = fc.constantFrom(...PRIORITIES);
    fc.assert(
      fc.property(address, address, lane, lane, (a, b, first, second) => {
        const [one, two] = [names.durable(a, first), names.durable(b, second)];
        expect(one).toMatch(/^[^\s.*>/\\]{1,255}$/);
        const same = a.workspace === b.workspace && a.workflow === b.workflow && first === second;
        expect(one === two).toBe(same);
      }),
    );
    expect(names.durable({ workspace: 'a-b', workflow: 'c' })).not.toBe(names.durable({ workspace: 'a', workflow: 'b-c' }));
  });
});

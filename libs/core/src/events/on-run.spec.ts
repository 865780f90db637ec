import { currentCauseHeaders } from './cause.js';
import { OnRun, hasReactions, resolveReactions, type OnRunOptions } from './on-run.js';
import { runNotice, type RunNotice } from '../run/run-notice.js';
import { Workflow } from '../declare/workflow.js';

@Workflow({ name: 'Order' })
class ProcessOrder {
  run(): { total: number } {
    return { total: 1 };
  }
}

function listening(options: OnRunOptions = {}, types: 'succeeded' | readonly ('succeeded' | 'failed')[] = 'succeeded'): new () => object {
  class Listener {
    readonly greeting = 'hello';
    heard(run: RunNotice): unknown {
      return `${this.greeting} ${run.runId} ${currentCauseHeaders()?.['Loopstack-Cause']}`;
    }
  }
  OnRun('Order', types, options)(Listener.prototype, 'heard', { value: Listener.prototype.heard.bind(undefined) });
  return Listener;
}

const resolve = (type: new () => object, ...[service]: [string?]) => resolveReactions([{ type, instance: new type() }], service);

describe('resolveReactions', () => {
  it('knows every default', () => {
    expect(resolve(listening(), 'mail')).toEqual([
      {
        name: 'Listener.heard',
        workspace: '*',
        workflow: 'Order',
        types: new Set(['succeeded']),
        delivery: 'durable',
        from: 'now',
        retry: expect.objectContaining({ attempts: 5, delayMs: 1000 }),
        concurrency: 16,
        call: expect.any(Function),
      },
    ]);
  });

  it('calls the method on its instance, with the run as the cause of what it starts', () => {
    const [reaction] = resolve(listening(), 'mail');
    expect(reaction?.call(runNotice({ workspace: 'W', workflow: 'Order' }, 'r1', { type: 'succeeded', at: '', attempt: 1 }))).toBe(
      'hello r1 r1',
    );
  });

  it('takes the class of a workflow, and types the result', () => {
    class Typed {
      @OnRun(ProcessOrder, 'succeeded', { workspace: 'Shop' })
      done({ result }: RunNotice<{ total: number }, 'succeeded'>): number {
        return result.total;
      }

      @OnRun(ProcessOrder, ['succeeded', 'failed'], { name: 'ended' })
      ended({ result }: RunNotice<{ total: number }, 'succeeded' | 'failed'>): number | undefined {
        return result?.total;
      }
    }
    expect(resolve(Typed, 'mail')).toMatchObject([
      { name: 'Typed.done', workspace: 'Shop', workflow: 'Order' },
      { name: 'ended', workspace: '*' },
    ]);
  });

  it.each([
    ['a durable one without a service', listening(), undefined, /LoopstackModule\.forRoot\(\{ service \}\)/],
    ['an unknown delivery', listening({ delivery: 'sometimes' as never }), 'mail', /delivery/],
    ['no event', listening({}, []), 'mail', /types/],
    ['an unknown event', listening({}, 'finished' as never), 'mail', /"finished"/],
    ['no concurrency', listening({ concurrency: 0 }), 'mail', /concurrency/],
    ['a workspace that is no name', listening({ workspace: 'a.b' }), 'mail', /workspace/],
    ['a start that is none', listening({ from: 'then' as never }), 'mail', /from/],
  ] as const)('refuses %s', (_, type, service, message) => {
    expect(() => resolve(type, service)).toThrow(expect.objectContaining({ code: 'BOOT_FAILED', message: expect.stringMatching(message) }));
  });

  it('allows a live one without a service', () => {
    expect(resolve(listening({ delivery: 'live' }))).toMatchObject([{ delivery: 'live' }]);
  });

  it('refuses a provider that is no singleton', () => {
    const type = listening();
    expect(() => resolveReactions([{ type, instance: undefined }], 'mail')).toThrow(/a request-scoped or transient one/);
  });

  it('refuses two of one name', () => {
    const [a, b] = [listening({ name: 'same' }), listening({ name: 'same' })];
    const candidates = [a, b].map((type) => ({ type, instance: new type() }));
    expect(() => resolveReactions(candidates, 'mail')).toThrow(/two @OnRun methods have the name same/);
  });
});

describe('hasReactions', () => {
  it('sees those of a parent class', () => {
    class Child extends listening() {}
    expect([hasReactions(Child), hasReactions(class {})]).toEqual([true, false]);
  });
});

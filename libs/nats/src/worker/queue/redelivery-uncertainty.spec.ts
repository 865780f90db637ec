import { RedeliveryUncertainty } from './redelivery-uncertainty.js';

interface State {
  readonly untilMs: number;
}

/** Its questions are answered one by one. */
function asked() {
  const questions: ((state: State | undefined) => void)[] = [];
  const answers: State[] = [];
  const uncertainty = new RedeliveryUncertainty<State>(
    () => new Promise((resolve) => questions.push(resolve)),
    (state) => answers.push(state),
  );
  const answer = async (state: State | undefined): Promise<void> => {
    questions.shift()?.(state);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { uncertainty, questions, answers, answer };
}

describe('whether a stored command may have been delivered before', () => {
  it('is certain at first', () => {
    expect(asked().uncertainty.covers(1)).toBe(false);
  });

  it.each([
    [100, true],
    [101, false],
  ])('depends on when it was stored: %s', (timeMs, covered) => {
    const { uncertainty } = asked();
    uncertainty.until(100);
    expect(uncertainty.covers(timeMs)).toBe(covered);
  });

  it('is uncertain for all until the server has answered', async () => {
    const { uncertainty, answers, answer } = asked();
    uncertainty.raise();
    expect(uncertainty.covers(Number.MAX_SAFE_INTEGER)).toBe(true);
    await answer({ untilMs: 500 });
    expect([uncertainty.covers(500), uncertainty.covers(501)]).toEqual([true, false]);
    expect(answers).toEqual([{ untilMs: 500 }]);
  });

  it('ignores an answer to a question from before', async () => {
    const { uncertainty, questions, answers, answer } = asked();
    uncertainty.raise();
    uncertainty.raise();
    expect(questions).toHaveLength(1);
    await answer({ untilMs: 500 });
    expect(uncertainty.covers(501)).toBe(true);
    await answer({ untilMs: 700 });
    expect([uncertainty.covers(700), uncertainty.covers(701)]).toEqual([true, false]);
    expect(answers).toEqual([{ untilMs: 700 }]);
  });

  it('stays uncertain where the process stops', async () => {
    const { uncertainty, answer } = asked();
    uncertainty.raise();
    await answer(undefined);
    expect(uncertainty.covers(Number.MAX_SAFE_INTEGER)).toBe(true);
  });

  it('is asked again after the process has given up', async () => {
    const { uncertainty, answer } = asked();
    uncertainty.raise();
    await answer(undefined);
    uncertainty.raise();
    await answer({ untilMs: 5 });
    expect(uncertainty.covers(6)).toBe(false);
  });
});

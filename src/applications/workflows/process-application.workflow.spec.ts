import { decide } from './process-application.workflow.js';

const words = (count: number): string => 'word '.repeat(count);

describe('decide', () => {
  it.each<[number, number, object]>([
    [20, 10, { status: 'in-review', missing: [] }],
    [19, 10, { status: 'incomplete', missing: ['resume'] }],
    [20, 9, { status: 'incomplete', missing: ['coverLetter'] }],
    [1, 1, { status: 'incomplete', missing: ['resume', 'coverLetter'] }],
  ])('a resume of %i words and a cover letter of %i: %p', (resume, coverLetter, decision) => {
    expect(decide({ resume: words(resume), coverLetter: words(coverLetter) })).toEqual(decision);
  });
});

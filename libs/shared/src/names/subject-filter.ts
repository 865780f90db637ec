/**
 * Subjects with wildcards, as consumers filter by them: `*` stands for one token, `>` at the end for one or more.
 * @see https://docs.nats.io/nats-concepts/subjects
 */

/** Longest filter. Subjects of more than about 4,000 characters end in a publish timeout. */
const MAX_FILTER = 1024;
/** White space and control characters; the server's own grammar refuses only some of them. */
// oxlint-disable-next-line no-control-regex -- it refuses them
const REFUSED = /[\s\u0000-\u001f\u007f]/;

/** Whether a consumer may filter by it. */
export function isSubjectFilter(value: unknown): boolean {
  if (typeof value !== 'string' || value === '' || value.length > MAX_FILTER || REFUSED.test(value)) return false;
  const tokens = value.split('.');
  return tokens.every(
    (token, i) => token !== '' && (token.length === 1 || !/[*>]/.test(token)) && (token !== '>' || i === tokens.length - 1),
  );
}

/** Whether some subject matches both. */
export function filtersOverlap(a: string, b: string): boolean {
  const left = a.split('.');
  const right = b.split('.');
  for (let i = 0; ; i++) {
    const [l, r] = [left[i], right[i]];
    if (l === undefined || r === undefined) return l === r;
    if (l === '>' || r === '>') return true;
    if (l !== r && l !== '*' && r !== '*') return false;
  }
}

/** Whether every subject that matches `narrow` matches `wide`. */
export function filterCovers(wide: string, narrow: string): boolean {
  const outer = wide.split('.');
  const inner = narrow.split('.');
  for (let i = 0; ; i++) {
    const [o, n] = [outer[i], inner[i]];
    if (o === undefined || n === undefined) return o === n;
    if (o === '>') return true;
    if (n === '>' || (o !== '*' && o !== n)) return false;
  }
}

/** What the wildcards of `filter` stand for in a subject that matches it: a token for each `*`, and each token of `>`. */
export function capturedTokens(filter: string, subject: string): string[] {
  const tokens = subject.split('.');
  const captured: string[] = [];
  for (const [i, wanted] of filter.split('.').entries()) {
    if (wanted === '>') captured.push(...tokens.slice(i));
    else if (wanted === '*') captured.push(tokens[i] as string);
  }
  return captured;
}

// docs/errors.md and the error catalogue, held against each other: `node .ci/errors-page.mjs` tells the differences,
// with `--write` it writes the page. Needs a build (`npm run build`).
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ERRORS } from '@loopstack/shared/contract';

/** @typedef {Readonly<Record<string, { readonly text: string, readonly fix: string, readonly retryable: boolean, readonly status: number }>>} Catalogue */

const PAGE = join(dirname(fileURLToPath(import.meta.url)), '..', 'docs', 'errors.md');

const INTRO = `# Errors

Every error of this project is a \`LoopstackError\` with one of these codes. HTTP responses, dead letters and a run's last event carry the same
code. In the texts, \`{name}\` stands for a detail, which is also in \`error.details\`.

- **Status** is the status of the response from Nest's HTTP layer.
- **Retryable** says whether the same call may succeed later without a change.

\`node .ci/errors-page.mjs --write\` generates this page from \`libs/shared/src/error.ts\`, and a test compares the two.
`;

/** @param {Catalogue} catalogue */
export function errorsPage(catalogue) {
  const sections = Object.entries(catalogue).map(
    ([code, { text, fix, retryable, status }]) =>
      `\n## ${code}\n\n> ${text}\n\n- Status: ${status}\n- Retryable: ${retryable ? 'yes' : 'no'}\n- What to do: ${fix}\n`,
  );
  return INTRO + sections.join('');
}

/**
 * Reads the page as a reader would, and tells what differs, both ways.
 * @param {string} page
 * @param {Catalogue} catalogue
 */
export function errorsPageDifferences(page, catalogue) {
  const differences = [];
  const [, ...sections] = page.split(/^## /m);
  const documented = new Map(sections.map((section) => [/^\S*/.exec(section)?.[0] ?? '', section]));
  if (documented.size !== sections.length) differences.push('a code is documented twice');
  for (const code of documented.keys()) {
    if (!Object.hasOwn(catalogue, code)) differences.push(`${code} is documented and does not exist`);
  }
  for (const [code, { text, fix, retryable, status }] of Object.entries(catalogue)) {
    const section = documented.get(code);
    if (section === undefined) {
      differences.push(`${code} is not documented`);
      continue;
    }
    const lines = section.split('\n');
    const wanted = {
      text: `> ${text}`,
      status: `- Status: ${status}`,
      retryable: `- Retryable: ${retryable ? 'yes' : 'no'}`,
      fix: `- What to do: ${fix}`,
    };
    for (const [what, line] of Object.entries(wanted)) {
      if (!lines.includes(line)) differences.push(`${code}: ${what} differs`);
    }
  }
  return differences;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  if (process.argv.includes('--write')) {
    writeFileSync(PAGE, errorsPage(ERRORS));
  } else {
    const differences = errorsPageDifferences(readFileSync(PAGE, 'utf8'), ERRORS);
    for (const difference of differences) console.error(difference);
    process.exitCode = differences.length === 0 ? 0 : 1;
  }
}

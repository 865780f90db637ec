// The last line of .ci/run, from Jest's results: `N passed, N failed`. Exit code 1 if anything failed.

import { existsSync, readFileSync } from 'node:fs';

const [file, failedSteps, testExitCode] = process.argv.slice(2);
const results = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
const passed = results?.numPassedTests ?? 0;
// A file that could not even be loaded has no failed test.
const inTests = (results?.numFailedTests ?? 0) + (results?.numRuntimeErrorTestSuites ?? 0);
const failed = Number(failedSteps) + (testExitCode === '0' ? inTests : Math.max(1, inTests));

for (const { message, name, status } of results?.testResults ?? []) if (status === 'failed') console.log(`\nFAILED ${name}\n${message}`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

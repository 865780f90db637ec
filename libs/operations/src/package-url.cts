import { pathToFileURL } from 'node:url';

/** For a test runner that makes CommonJS of this package, where `import.meta` does not parse (docs/compatibility.md). */
export const packageUrl = pathToFileURL(__filename).href;

import { pathToFileURL } from 'node:url';

/** For a test runner that makes CommonJS of this package, where `import.meta` does not parse (docs/compatibility.md). */
export const leasesUrl = pathToFileURL(__filename).href;

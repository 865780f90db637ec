import { pathToFileURL } from 'node:url';

/** Of a CommonJS module; a bundler may have made one of this package. */
declare const __filename: string;

/** The lease thread stands beside this file: a `file:` URL, of `import.meta`, which bundles in CommonJS have not. */
export const leasesUrl = (import.meta.url as string | undefined) ?? pathToFileURL(__filename).href;

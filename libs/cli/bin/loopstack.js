#!/usr/bin/env node
import { existsSync } from 'node:fs';

// In a checkout npm links this file before anything is built.
if (existsSync(new URL('../dist/main.js', import.meta.url))) {
  const { main } = await import('../dist/main.js');
  process.exitCode = await main(process.argv.slice(2));
} else {
  process.stderr.write('error: the command line is not built yet\n  Build it: npm run build\n');
  process.exitCode = 2;
}

// @ts-check
// npm run bench: bundles the bench and the engine's sources for Node, then runs it.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'tsup';

const here = import.meta.dirname;
await build({ config: join(here, 'tsup.config.ts') });
await import(pathToFileURL(join(here, 'build', 'main.mjs')).href);

// The version of this package, for whoever has to say or compare it.

import { createRequire } from 'node:module';

export const RELEASE = (createRequire(import.meta.url)('../../package.json') as { version: string }).version;

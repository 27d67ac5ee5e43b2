// The tables of bench/README.md by one command: every program that runs beside peers, one after the other.
//
//   npm run build && node bench/all.mjs [options of rounds.mjs, passed on to each]

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

for (const program of ['regeneration', 'codec', 'inference', 'steps', 'target']) {
  const file = fileURLToPath(new URL(`${program}.mjs`, import.meta.url));
  const { status } = spawnSync(process.execPath, [file, ...process.argv.slice(2)], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

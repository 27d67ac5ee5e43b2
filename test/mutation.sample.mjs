// Which lines of codec/ Stryker changes, where all of them take hours: the files one behind the other, 7 lines by chance out of each 240,
// so that every line is as likely as any other. Prints what --mutate takes; another seed gives other lines.
//
//   stryker run --mutate "$(node test/mutation.sample.mjs SEED)"

import { readdirSync, readFileSync } from 'node:fs';
import seedrandom from 'seedrandom';

const WINDOW = 7;
const EVERY = 240;

const chance = seedrandom(process.argv[2]);
const files = readdirSync('codec').filter((name) => /(?<!\.d)\.ts$/.test(name) && name !== 'index.ts');
const lines = files.sort().flatMap((name) => {
  const { length } = readFileSync(`codec/${name}`, 'utf8').split('\n');
  return Array.from({ length: length - 1 }, (_, i) => ({ name, line: i + 1 }));
});
const ranges = [];
for (let first = 0; first < lines.length; first += EVERY) {
  const at = first + Math.floor(chance() * EVERY);
  const { name, line } = lines[Math.min(at, lines.length - 1)];
  const last = lines.slice(at, at + WINDOW).findLast((other) => other.name === name) ?? { line };
  ranges.push(`codec/${name}:${line}-${last.line}`);
}
console.log(ranges.join(','));

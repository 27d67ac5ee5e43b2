// Puts masks on one network into one file.      node examples/pack.mjs OUT.smk A.smk B.smk ...
import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { readPacked, writePacked } from 'seedmask/codec';

const [out, ...files] = process.argv.slice(2);
const models = files.map((file) => readPacked(readFileSync(file)));
const tasks = models.map(({ tasks: [task] }, i) => ({ ...task, id: basename(files[i], '.smk') }));
tasks.sort((a, b) => (a.id < b.id ? -1 : 1));
const bytes = writePacked({ network: models[0].network, tasks });
writeFileSync(out, bytes);
console.log(`${out}: ${tasks.length} tasks in ${bytes.length} bytes`);

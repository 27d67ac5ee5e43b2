// Puts masks on one network into one file.      node examples/pack.mjs OUT.smk A.smk B.smk ...
import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { networkId, readPacked, writePacked } from 'seedmask/codec';

process.on('uncaughtException', ({ message }) => process.exit(console.error(message) ?? 1)); // a failure is one line
const [out, ...files] = process.argv.slice(2);
if (files.length === 0) throw new Error('usage: node examples/pack.mjs OUT.smk A.smk B.smk ...');
const models = files.map((file) => readPacked(readFileSync(file)));
const { network } = models[0];
const other = models.findIndex((model) => String(networkId(model.network)) !== String(networkId(network)));
if (other > 0) throw new Error(`${files[other]} has another network than ${files[0]}: its masks mean nothing there`);
const tasks = models.flatMap((model, i) =>
  model.tasks.map((task) => ({ ...task, id: model.tasks.length > 1 ? task.id : basename(files[i], '.smk') })),
);
tasks.sort((a, b) => (a.id < b.id ? -1 : 1));
const bytes = writePacked({ network, tasks });
writeFileSync(out, bytes);
console.log(`${out}: ${tasks.length} tasks in ${bytes.length} bytes`);

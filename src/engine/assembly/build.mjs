// Compiles the kernels from one source, without and with threads (shared memory is another type in WebAssembly) into src/engine/kernels.ts,
// and once more without threads and training into kernels-classify.ts: deflated and as text, so that Node, browsers and bundlers load
// them the same way and a page loads few bytes. Run by `npm run build`. A file begins with a hash of everything it was made from, and is not made again while that is the same:
// compiling takes a minute.

import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { deflateRawSync } from 'node:zlib';
import asc, { version } from 'assemblyscript/asc';

const flags = [
  'index.ts',
  '--baseDir',
  fileURLToPath(new URL('.', import.meta.url)),
  '--optimizeLevel',
  '3',
  '--converge',
  '--noAssert',
  '--runtime',
  'minimal',
  '--enable',
  'simd',
  '--importMemory',
  '--initialMemory',
  '16',
  '--use',
  'abort=',
];

async function compile(extra) {
  let bytes;
  const { error, stderr } = await asc.main([...flags, ...extra, '--outFile', 'kernels.wasm'], {
    writeFile: (_, contents) => {
      bytes = contents;
    },
  });
  if (error) throw new Error(`${error.message}\n${stderr.toString()}`);
  return bytes;
}

/** Of the compiler's version and of every file beside this one, this one included. */
async function sourceHash() {
  const here = new URL('.', import.meta.url);
  const hash = createHash('sha256').update(version);
  for (const name of (await readdir(here)).sort()) hash.update(name).update(await readFile(new URL(name, here)));
  return hash.digest('hex');
}

const hash = await sourceHash();
const text = (bytes) => `'${deflateRawSync(bytes, { level: 9 }).toString('base64')}'`;
const files = [
  {
    name: 'kernels.ts',
    async make() {
      const training = ['--use', 'TRAINING=1'];
      const single = await compile(training);
      const shared = await compile([...training, '--enable', 'threads', '--sharedMemory', '--maximumMemory', '32768']);
      return `export const KERNELS = {\n  single: ${text(single)},\n  shared: ${text(shared)},\n} as const;\n`;
    },
  },
  {
    name: 'kernels-classify.ts',
    make: async () => `export const CLASSIFY = ${text(await compile(['--shrinkLevel', '1']))};\n`,
  },
];
for (const { name, make } of files) {
  const target = new URL(`../${name}`, import.meta.url);
  const heading = `// Generated from src/engine/assembly by npm run build: WebAssembly, deflated, as base64. Sources: ${hash}\n`;
  const there = await readFile(target, 'utf8').catch(() => '');
  if (there.startsWith(heading) && there.endsWith(';\n')) {
    console.log(`${name}: made from these sources already`);
    continue;
  }
  const file = heading + (await make());
  await writeFile(target, file);
  console.log(`${name}: ${file.length} bytes`);
}

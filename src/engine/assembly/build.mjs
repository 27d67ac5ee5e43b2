// Compiles the kernels twice from one source, without and with threads (shared memory is another type in WebAssembly), and embeds the
// bytes in src/engine/kernels.ts, so that Node, browsers and bundlers load them the same way. Run by `npm run build`. The file begins
// with a hash of everything it was made from, and is not made again while that is the same: compiling takes up to a minute.

import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
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

const target = new URL('../kernels.ts', import.meta.url);
const heading = `// Generated from src/engine/assembly by npm run build: WebAssembly as base64. Sources: ${await sourceHash()}\n`;
const ending = '} as const;\n';
const there = await readFile(target, 'utf8').catch(() => '');
if (there.startsWith(heading) && there.endsWith(ending)) {
  console.log('kernels: made from these sources already');
  process.exit();
}
const single = await compile([]);
const shared = await compile(['--enable', 'threads', '--sharedMemory', '--maximumMemory', '32768']);
await writeFile(
  target,
  `${heading}export const KERNELS = {\n  single: '${Buffer.from(single).toString('base64')}',\n  shared: '${Buffer.from(shared).toString('base64')}',\n${ending}`,
);
console.log(`kernels: ${single.length} bytes, with threads ${shared.length} bytes`);

// Compiles the kernels twice from one source, without and with threads (shared memory is another type in WebAssembly), and embeds the
// bytes in src/engine/kernels.ts, so that Node, browsers and bundlers load them the same way. Run by `npm run build`.

import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

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

const single = await compile([]);
const shared = await compile(['--enable', 'threads', '--sharedMemory', '--maximumMemory', '32768']);
await writeFile(
  new URL('../kernels.ts', import.meta.url),
  `// Generated from src/engine/assembly by npm run build: WebAssembly as base64.\n` +
    `export const KERNELS = {\n  single: '${Buffer.from(single).toString('base64')}',\n  shared: '${Buffer.from(shared).toString('base64')}',\n} as const;\n`,
);
console.log(`kernels: ${single.length} bytes, with threads ${shared.length} bytes`);

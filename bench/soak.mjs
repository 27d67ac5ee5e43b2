// Minutes of everything that can go wrong, and whether anything is lost. An origin whose files are swapped all the time; three replicas
// that pull from it, behind nginx (deploy/nginx.conf); two of them are killed, or told to end, and started again in turns, and so is the
// origin; the third stays, and its memory and event loop are watched. The way to the origin falls silent now and then. Clients classify, cancel, send bodies a piece at a time, read
// slowly, and send what is no request. Every answer is compared with softmax of the plain engine's logits, bit for bit.
//
//   node bench/soak.mjs [--minutes 10] [--clients 6] [--json]          needs nginx, and npm run build
//
// Ends with 1 unless no answer was wrong, none was lost, and every SIGTERM was followed by exit 0. A request is lost when the typed
// client, with its retries, ends without an answer of the server.

import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { createClient, RequestError } from '../dist/client/index.js';
import { readModel } from '../dist/codec/index.js';
import { createReferenceEngine } from '../dist/src/index.js';
import { softmax } from '../dist/src/probabilities.js';
import { freePort, hasNginx, Relay, Replica, startNginx } from './fleet.mjs';

const { values: options } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, clients: { type: 'string', default: '6' }, json: { type: 'boolean' } },
});
const minutes = Number(options.minutes);
if (!(minutes > 0)) throw new Error(`--minutes must be a number above 0, got ${options.minutes}`);
if (!hasNginx()) {
  console.error('soak: nginx is not installed (apt-get install nginx)');
  process.exit(2);
}

// ---- what is right ----

const TRAINED = join(import.meta.dirname, '../models/trained');
const ROWS = 48;
/** Rows like digits: a fifth of the pixels are not zero. The same in every run. */
let state = 1;
const random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};
const rows = Array.from({ length: ROWS }, () => Uint8Array.from({ length: 784 }, () => (random() < 0.2 ? 256 * random() : 0)));
/** File -> the probabilities of each row, as the server must give them. */
const rightOf = (file) => {
  const { network, tasks } = readModel(readFileSync(join(TRAINED, file)));
  const [task] = tasks;
  const classifier = createReferenceEngine().classifier(network, { mask: task.mask, transform: task.transform });
  return rows.map((row) => {
    const out = new Float32Array(task.labels.length);
    out.set(softmax(classifier.logits(row, 1), 0, out.length, classifier.scale * task.logitScale));
    return out.join(' ');
  });
};
const right = Object.fromEntries(['mnist.smk', 'mnist-tiny.smk', 'mnist-same-sign.smk'].map((file) => [file, rightOf(file)]));
/** Task -> files whose answers are right; of the last two whichever is there at the moment. */
const TASKS = {
  steady: ['mnist.smk'],
  tiny: ['mnist-tiny.smk'],
  sign: ['mnist-same-sign.smk'],
  swap: ['mnist.smk', 'mnist-tiny.smk'],
  turn: ['mnist-tiny.smk', 'mnist-same-sign.smk'],
};
const isRight = (task, row, { probabilities }) =>
  TASKS[task].some((file) => right[file][row] === Float32Array.from(probabilities).join(' '));

// ---- servers ----

const folder = mkdtempSync(join(tmpdir(), 'seedmask-soak-'));
const models = mkdtempSync(join(folder, 'models-'));
function put(task, file) {
  copyFileSync(join(TRAINED, file), join(models, 'next'));
  renameSync(join(models, 'next'), join(models, `${task}.smk`));
}
for (const [task, [file]] of Object.entries(TASKS)) put(task, file);
const seen = [];
const origin = await new Replica(await freePort(), [models, '--poll', '0.2']).start();
const relay = await new Relay().start(origin.port);
const replicas = [];
for (let i = 0; i < 3; i++) {
  const args = [relay.url, '--cache', join(folder, `cache-${i}`), '--poll', '0.5', '--drain-delay', '0.5'];
  const watch = (line) => seen.push({ at: performance.now() / 1000, ...line });
  replicas.push(await new Replica(await freePort(), args, i === 0 ? { onWatch: watch } : {}).start());
}
const nginx = await startNginx(
  replicas.map(({ port }) => port),
  folder,
);

// ---- what happens ----

const counts = { requests: 0, right: 0, wrong: 0, refused: 0, lost: 0, cancelled: 0, pieces: 0, slow: 0, hostile: 0 };
const events = { swaps: 0, kills: 0, terms: 0, uncleanTerms: 0, originRestarts: 0, stalls: 0 };
const complaints = new Map();
const begun = performance.now();
const complain = (what) => {
  if (!complaints.has(what)) console.error(`${Math.round((performance.now() - begun) / 1000)} s: ${what}`);
  complaints.set(what, (complaints.get(what) ?? 0) + 1);
};
const pick = (list) => list[Math.floor(Math.random() * list.length)];
const end = performance.now() + minutes * 60_000;
const going = () => performance.now() < end;

const client = createClient({ url: nginx.url, retries: 8 });
async function ask(task, at, work, signal) {
  counts.requests++;
  try {
    const predictions = await work();
    if (predictions.length === at.length && predictions.every((prediction, i) => isRight(task, at[i], prediction))) counts.right++;
    else {
      counts.wrong++;
      complain(`wrong answer for ${task}`);
    }
  } catch (error) {
    if (signal?.aborted) {
      counts.cancelled++;
      return;
    }
    if (!(error instanceof RequestError)) throw error;
    const told = error.status !== 0 && error.code !== 'not-seedmask';
    counts[told ? 'refused' : 'lost']++;
    complain(`${told ? 'refused' : 'lost'}: ${error.code} ${error.message.slice(0, 120)}`);
  }
}
const someRows = () => Array.from({ length: pick([1, 1, 1, 4, 16]) }, () => Math.floor(Math.random() * ROWS));

async function classifying() {
  while (going()) {
    const task = pick(Object.keys(TASKS));
    const at = someRows();
    const bytes = Buffer.concat(at.map((i) => rows[i]));
    await ask(task, at, () => client.classify(task, Math.random() < 0.5 ? new Uint8Array(bytes) : at.map((i) => rows[i])));
    await sleep(Math.random() * 10);
  }
}

/** Goes away before the answer; one that came in time is right. */
async function cancelling() {
  while (going()) {
    const task = pick(Object.keys(TASKS));
    const at = someRows();
    const stop = new AbortController();
    setTimeout(() => stop.abort(), Math.random() * 6);
    const bytes = new Uint8Array(Buffer.concat(at.map((i) => rows[i])));
    await ask(task, at, () => client.classify(task, bytes, { signal: stop.signal }), stop.signal);
    await sleep(Math.random() * 60);
  }
}

/** Straight to the replica that stays, as nginx would hold slow bodies back. Gives what came until the end, or until `ms` have passed. */
async function raw(parts, { wait = 0, ms = 30_000, deaf = false } = {}) {
  const socket = connect(replicas[0].port, '127.0.0.1').on('error', () => undefined);
  let text = '';
  if (!deaf) socket.setEncoding('latin1').on('data', (data) => (text += data));
  const timer = setTimeout(() => socket.destroy(), ms);
  for (const part of parts) {
    socket.write(part);
    if (wait) await sleep(wait);
  }
  if (!socket.destroyed) await once(socket, 'close').catch(() => undefined);
  clearTimeout(timer);
  return text;
}

/** Bodies a piece at a time, and their answers; heads that never end; answers that nobody reads. */
async function dawdling() {
  while (going()) {
    const task = pick(Object.keys(TASKS));
    const row = Math.floor(Math.random() * ROWS);
    const head = `POST /tasks/${task}/classify HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 784\r\n\r\n`;
    counts.pieces++;
    await ask(task, [row], async () => {
      const pieces = Array.from({ length: 8 }, (_, i) => rows[row].subarray(i * 98, (i + 1) * 98));
      const text = await raw([head, ...pieces], { wait: 100 });
      const [, status, body] = /^HTTP\/1\.1 (\d+)[\s\S]*?\r\n\r\n([\s\S]*)$/.exec(text) ?? [];
      if (status !== '200')
        throw new RequestError(`a body in pieces: ${text.slice(0, 60)}`, { status: Number(status ?? 0), code: 'no-answer' });
      return JSON.parse(body).predictions;
    });
    counts.slow += 2;
    await Promise.all([
      raw(['POST /tasks/steady/classify HTTP/1.1\r\nHost: x\r\nContent-Le'], { ms: 3000 * Math.random() }),
      raw(Array(200).fill('GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n'), { deaf: true, ms: 3000 * Math.random() }),
    ]);
  }
}

const HOSTILE = [
  ['no JSON', '{"instances": [[1, 2'],
  ['nested', `${'['.repeat(20_000)}${']'.repeat(20_000)}`],
  ['a wrong width', new Uint8Array(783)],
  ['no numbers', '{"instances": [["a"]]}'],
  ['a bomb', gzipSync(Buffer.alloc(32 * 1024 * 1024)), { 'Content-Encoding': 'gzip' }],
  ['no gzip', Buffer.from('x'), { 'Content-Encoding': 'gzip' }],
  ['msgpack that ends', Uint8Array.of(0xdc, 0xff, 0xff), { 'Content-Type': 'application/msgpack' }],
  ['half a PNG', Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a), { 'Content-Type': 'image/png' }],
  ['a deadline that has passed', rows[0], { 'X-Timeout-Ms': '0' }],
];
/** What must be refused, with a code, and by nothing but a 4xx or 504. */
async function attacking() {
  while (going()) {
    const [what, body, headers] = pick(HOSTILE);
    counts.hostile++;
    try {
      const response = await fetch(`${nginx.url}/tasks/steady/classify`, { method: 'POST', body, headers });
      const text = await response.text();
      // What is no HTTP for nginx it refuses itself.
      const { code } = text.startsWith('{') ? JSON.parse(text) : { code: `of nginx: ${text.replace(/<[^>]*>|\s+/g, ' ').trim()}` };
      if (!((response.status >= 400 && response.status < 500) || code === 'deadline')) complain(`${what}: HTTP ${response.status} ${code}`);
    } catch (error) {
      counts.lost++;
      complain(`lost: ${what}: ${error.message}`);
    }
    await raw([pick(['\0\0\0\r\n\r\n', 'GET / HTTP/9.9\r\n\r\n', `GET /${'x'.repeat(70_000)} HTTP/1.1\r\n\r\n`])], { ms: 2000 });
    await sleep(Math.random() * 200);
  }
}

async function swapping() {
  for (let i = 1; going(); i++) {
    for (const task of ['swap', 'turn']) put(task, TASKS[task][i % 2]);
    events.swaps += 2;
    await sleep(700);
  }
}

async function term(server) {
  events.terms++;
  const [code] = await server.end('SIGTERM');
  if (code === 0) return;
  events.uncleanTerms++;
  complain(`SIGTERM ended with exit code ${code}`);
}

/** One at a time is away, and the next only when it is back. */
async function ending() {
  for (let i = 0; going(); i++) {
    await sleep(1000 + Math.random() * 2000);
    const server = i % 5 === 4 ? origin : replicas[1 + (i % 2)];
    if (i % 2 && server !== origin) await term(server);
    else {
      await server.end('SIGKILL');
      events.kills++;
    }
    if (server === origin) events.originRestarts++;
    await sleep(500);
    await server.start();
  }
}

/** Some stalls outlast a replica's start. */
async function stalling() {
  while (going()) {
    await sleep(2000 + Math.random() * 8000);
    events.stalls++;
    relay.silent = true;
    await sleep(Math.random() ** 2 * 12_000);
    relay.silent = false;
  }
}

const started = performance.now();
await Promise.all([
  ...Array.from({ length: Number(options.clients) }, classifying),
  cancelling(),
  dawdling(),
  attacking(),
  swapping(),
  stalling(),
  ending(),
]);
const seconds = (performance.now() - started) / 1000;
// Whatever stalled, the newest files arrive.
const last = replicas[0];
const direct = createClient({ url: last.url, retries: 0 });
const isNewest = async ([task, file]) => {
  const [{ probabilities }] = await direct.classify(task, rows[0]);
  return right[file][0] === Float32Array.from(probabilities).join(' ');
};
const newest = Object.entries(TASKS).map(([task, files]) => [task, files[(events.swaps / 2) % files.length]]);
for (const until = performance.now() + 60_000; performance.now() < until; await sleep(500)) {
  if ((await Promise.all(newest.map(isNewest))).every(Boolean)) break;
  if (performance.now() > until - 1000) complain('the newest files did not arrive within a minute');
}
// The last word: all of them are told to end while requests are under way, and those are answered.
await sleep(1100);
const flying = Array.from({ length: 32 }, () => ask('steady', [0], () => direct.classify('steady', rows[0])));
await sleep(5);
await Promise.all([...flying, ...[...replicas, origin].map(term)]);
await nginx.stop();
relay.stop();
rmSync(folder, { recursive: true, force: true });

// ---- what came of it ----

/** MiB a minute of samples [seconds, bytes], by least squares over the second half, and its standard error. */
function slope(samples) {
  const half = samples.slice(samples.length >> 1);
  const n = half.length;
  if (n < 3) return 'too short';
  const [mx, my] = [0, 1].map((k) => half.reduce((sum, point) => sum + point[k], 0) / n);
  const sxx = half.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
  const b = half.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0) / sxx;
  const rest = half.reduce((sum, [x, y]) => sum + (y - my - b * (x - mx)) ** 2, 0);
  const [mean, error] = [b, Math.sqrt(rest / (n - 2) / sxx)].map((bytes) => ((bytes * 60) / 2 ** 20).toFixed(2));
  return `${mean} +- ${error} MiB a minute`;
}
const mib = (bytes) => Math.round((bytes ?? Number.NaN) / 2 ** 20);
const middle = (key) => [...seen].sort((a, b) => a[key] - b[key])[seen.length >> 1]?.[key];
const held = seen.filter((line) => line.held);
const report = {
  seconds: Math.round(seconds),
  ...counts,
  ...events,
  rssStartMiB: mib(seen[0]?.rss),
  rssEndMiB: mib(seen.at(-1)?.rss),
  rssSlope: slope(seen.map(({ at, rss }) => [at, rss])),
  heldMiB: held.length ? `${mib(held[0].held)} .. ${mib(held.at(-1).held)} after collections` : 'too short',
  heldSlope: slope(held.map((line) => [line.at, line.held])),
  loopDelayMs: `median ${middle('p50')?.toFixed(1)}, 99 % ${middle('p99')?.toFixed(1)}, longest ${Math.max(...seen.map(({ max }) => max)).toFixed(0)}`,
  complaints: Object.fromEntries(complaints),
};
if (options.json) console.log(JSON.stringify(report));
else
  for (const [name, value] of Object.entries(report))
    console.log(`| ${name} | ${typeof value === 'object' ? JSON.stringify(value) : value} |`);
const unexpected = [...complaints.keys()].some((what) => !what.startsWith('refused: '));
process.exit(counts.wrong || counts.lost || events.uncleanTerms || unexpected || counts.right === 0 ? 1 : 0);

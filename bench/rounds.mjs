// What every bench program shares: contestants measured in turns in one run, so that whatever else the machine does hits all alike;
// medians of several rounds with minima and maxima; the ratio to the best peer; markdown tables.
//
//   --rounds N            rounds (turns of each contestant)   --only PATTERN  only rows whose name matches
//   --seconds S           length of one turn                  --json          one JSON object instead of tables
//   --python P[,P...]     interpreters in which to look for a peer's libraries, best first; default /usr/bin/python3
//
// A peer is a program that answers a JSON line on stdin by a JSON line {version, rate} or {version, error}. All are optional:
//
//   python3 -m venv ENV && ENV/bin/pip install scipy onnx onnxruntime      apt-get install python3-torch (or torch in ENV)
//   then --python ENV/bin/python,/usr/bin/python3

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/** @typedef {NonNullable<import('node:util').ParseArgsConfig['options']>} Options */

/** @type {Options} */
const COMMON = {
  rounds: { type: 'string', default: '5' },
  seconds: { type: 'string', default: '0.3' },
  only: { type: 'string', default: '' },
  python: { type: 'string', default: '/usr/bin/python3' },
  json: { type: 'boolean', default: false },
};

export const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1];

const short = (x) => (x >= 100 ? Math.round(x).toLocaleString('en') : x.toPrecision(3));

/** Median (minimum .. maximum). */
export const range = (list) => `${short(median(list))} (${short(Math.min(...list))} .. ${short(Math.max(...list))})`;

/** Calls per second over about `seconds`, after one call that warms up; `now` is a clock in milliseconds. */
export function rate(call, seconds, now = () => performance.now()) {
  call();
  let calls = 0;
  const start = now();
  while (now() - start < seconds * 1000) {
    call();
    calls++;
  }
  return calls / ((now() - start) / 1000);
}

/**
 * One run of a bench program: its options, a folder for files, its peers, its tables.
 * @param {Options} options beside those that all have
 */
export function openBench(options = {}) {
  /** @type {Record<string, any>} */
  const o = parseArgs({ options: { ...COMMON, ...options } }).values;
  const rounds = Number(o.rounds);
  const seconds = Number(o.seconds);
  const folder = mkdtempSync(join(tmpdir(), 'seedmask-bench-'));
  const started = [];
  const tables = [];
  const machine = `${cpus()[0].model}, ${cpus().length} cores, Node ${process.version}, ${new Date().toISOString().slice(0, 10)}`;
  const say = (text) => o.json || console.log(text);
  say(`\n${machine}; ${rounds} rounds`);

  /** Starts a peer program; null where it has not got its libraries. */
  async function start(interpreter, file) {
    const path = fileURLToPath(new URL(`peers/${file}`, import.meta.url));
    const child = spawn(interpreter, [path], { stdio: ['pipe', 'pipe', 'ignore'] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    child.on('error', () => undefined);
    child.stdin.on('error', () => undefined);
    const ask = async (job) => {
      child.stdin.write(`${JSON.stringify(job)}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error(`peers/${file} ended`);
      return JSON.parse(value);
    };
    try {
      // An empty job is refused, by a program that could load its libraries.
      const { version } = await ask({});
      started.push({ child, version });
      return ask;
    } catch {
      child.kill();
      return null;
    }
  }

  const contestant = (ask, job) => async (seconds) => {
    const { rate, error } = await ask({ ...job, seconds });
    if (error) throw new Error(error);
    return rate;
  };

  const bench = {
    o,
    folder,
    say,
    wanted: (name) => new RegExp(o.only).test(name),

    /** What makes contestants of jobs for a peer program, by the first interpreter that has its libraries, or null. */
    async peer(file) {
      for (const interpreter of o.python.split(',')) {
        const ask = await start(interpreter, file);
        if (ask) return (job) => contestant(ask, job);
      }
      say(`without peers/${file}: none of ${o.python} has its libraries (bench/README.md says how to get them)`);
      return null;
    },

    /** Measures contestants in turns; `ours` is one of them, the others are peers. A peer that fails is left out, with its reason. */
    async contest(contestants) {
      const rates = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]));
      for (let round = 0; round < rounds; round++) {
        for (const [name, measure] of Object.entries(contestants)) {
          if (!measure || !rates[name]) continue;
          try {
            rates[name].push(await measure(seconds));
          } catch (error) {
            if (name === 'ours') throw error;
            say(`without ${name}: ${error.message}`);
            delete rates[name];
          }
        }
      }
      return Object.fromEntries(Object.entries(rates).filter(([, list]) => list.length > 0));
    },

    /**
     * A table of contests: a row's `rates` in `unit` (rates times `scale`), beside the best peer and the ratio to it in every round.
     * `less` says that less is better: the rates are times.
     */
    table(title, unit, rows, { scale = 1, less = false } = {}) {
      if (rows.length === 0) return;
      const lines = rows.map(({ name, rates }) => {
        const { ours, ...peers } = rates;
        const order = Object.keys(peers).sort((a, b) => (median(peers[b]) - median(peers[a])) * (less ? -1 : 1));
        const [best, ...others] = order;
        const scaled = (list) => list.map((x) => x * scale);
        const ratios = best && peers[best].map((x, i) => (less ? x / ours[i] : ours[i] / x));
        return { name, ours: scaled(ours), best, ratios, peers: Object.fromEntries(order.map((p) => [p, scaled(peers[p])])), others };
      });
      tables.push({ title, unit, rows: lines.map(({ others, ...row }) => row) });
      say(`\n${title}; ${unit}\n\n| | ours | best peer | times as fast | other peers |\n|---|---|---|---|---|`);
      for (const { name, ours, best, ratios, peers, others } of lines) {
        const beside = others.map((p) => `${p} ${short(median(peers[p]))}`).join(', ');
        say(`| ${name} | ${range(ours)} | ${best ? `${best} ${range(peers[best])}` : ''} | ${best ? range(ratios) : ''} | ${beside} |`);
      }
    },

    /** A table of facts: rows of equal columns. */
    list(title, unit, rows) {
      if (rows.length === 0) return;
      tables.push({ title, unit, rows });
      const columns = Object.keys(rows[0]);
      say(`\n${title}; ${unit}\n\n| ${columns.join(' | ')} |\n|${'---|'.repeat(columns.length)}`);
      for (const row of rows) {
        const cells = columns.map((column) => (typeof row[column] === 'number' ? row[column].toLocaleString('en') : row[column]));
        say(`| ${cells.join(' | ')} |`);
      }
    },

    /** Names the peers that took part, prints the JSON, ends the peers. */
    close() {
      const peers = [...new Set(started.map(({ version }) => version))];
      if (o.json) console.log(JSON.stringify({ machine, rounds, peers, tables }));
      else if (peers.length > 0) say(`\nPeers: ${peers.join(', ')}.`);
      for (const { child } of started) child.kill();
      rmSync(folder, { recursive: true });
    },
  };
  return bench;
}

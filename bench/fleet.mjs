// Replicas on this machine with nginx in front of them, by deploy/nginx.conf as it stands but for ports and paths: what the soak and
// test/server.scale.test.ts kill, drain and start again.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
export const hasNginx = () => spawnSync('nginx', ['-v']).status === 0;

/** The port of a server that has been told to listen. @param {import('node:net').Server} server */
export async function portOf(server) {
  if (!server.listening) await once(server, 'listening');
  return /** @type {import('node:net').AddressInfo} */ (server.address()).port;
}

/** A port that was free a moment ago. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  const port = await portOf(server);
  server.close();
  await once(server, 'close');
  return port;
}

/** Resolves when a URL answers 200. */
export async function answering(url, ms = 60_000) {
  for (const until = performance.now() + ms; performance.now() < until; await new Promise((resolve) => setTimeout(resolve, 50))) {
    const ok = await fetch(url, { signal: AbortSignal.timeout(2000) }).then(
      (response) => response.arrayBuffer().then(() => response.ok),
      () => false,
    );
    if (ok) return;
  }
  throw new Error(`${url} does not answer 200 within ${ms} ms`);
}

/**
 * What a watched process tells every second: its memory, and how late its event loop was, in milliseconds; every half minute also the bytes
 * that it holds after a collection.
 */
const WATCH = `data:text/javascript,${encodeURIComponent(`
  import { monitorEventLoopDelay } from 'node:perf_hooks';
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  let round = 0;
  setInterval(() => {
    let held;
    if (++round % 30 === 0) {
      global.gc();
      const { heapUsed, external } = process.memoryUsage();
      held = heapUsed + external;
    }
    if (process.connected) process.send({ held, rss: process.memoryUsage.rss(), p50: delay.percentile(50) / 1e6, p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 });
    delay.reset();
  }, 1000).unref();
  process.channel?.unref();`)}`;

/** One `seedmask serve` that can be ended and started again on the same port. */
export class Replica {
  constructor(port, args, { onWatch = undefined } = {}) {
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.args = args;
    this.onWatch = onWatch;
  }

  /** Starts it and waits until it is ready. */
  async start() {
    const args = [join(ROOT, 'dist/cli/main.js'), 'serve', ...this.args, '--port', String(this.port), '--log', 'error'];
    const watch = this.onWatch ? ['--expose-gc', '--import', WATCH] : [];
    this.child = spawn(process.execPath, [...watch, ...args], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    if (this.onWatch) this.child.on('message', this.onWatch);
    this.ended = once(this.child, 'exit');
    await answering(`${this.url}/v2/health/ready`);
    return this;
  }

  /** Sends a signal and waits for the end: [exit code, signal]. */
  async end(signal) {
    this.child.kill(signal);
    return this.ended;
  }
}

/** Stands in front of a server, and can fall silent: who connects, or has connected, hears nothing until it is let go on. */
export class Relay {
  #silent = false;
  /** Connection of a client -> that to the server. */
  #pairs = new Map();

  /** @param port of the server */
  async start(port) {
    const server = createServer((client) => {
      const upstream = connect(port, '127.0.0.1');
      this.#pairs.set(client, upstream);
      const close = () => {
        this.#pairs.delete(client);
        client.destroy();
        upstream.destroy();
      };
      for (const socket of [client, upstream]) socket.on('error', close).on('close', close);
      client.pipe(upstream);
      if (!this.#silent) upstream.pipe(client);
    }).listen(0, '127.0.0.1');
    this.url = `http://127.0.0.1:${await portOf(server)}`;
    this.stop = () => {
      server.close();
      for (const client of this.#pairs.keys()) client.destroy();
    };
    return this;
  }

  set silent(silent) {
    this.#silent = silent;
    for (const [client, upstream] of this.#pairs) {
      if (silent) upstream.unpipe(client);
      else upstream.pipe(client);
    }
  }
}

/** nginx on a port of its own in front of replicas. @param folder for its files */
export async function startNginx(ports, folder) {
  const port = await freePort();
  mkdirSync(join(folder, 'temp'), { recursive: true });
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `  ${name}_temp_path ${folder}/temp/${name};`);
  const servers = ports.map((replica) => `    server 127.0.0.1:${replica} max_fails=0;\n`).join('');
  const conf = readFileSync(join(ROOT, 'deploy/nginx.conf'), 'utf8')
    .replace('listen 8080;', `listen 127.0.0.1:${port};`)
    .replace(/( +server 127\.0\.0\.1:\d+ max_fails=0;\n)+/, servers)
    .replace('http {\n', `http {\n  access_log off;\n${paths.join('\n')}\n`);
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, conf);
  const user = process.getuid?.() === 0 ? 'user root; ' : '';
  const child = spawn('nginx', ['-e', `${folder}/error.log`, '-c', file, '-g', `daemon off; ${user}pid ${folder}/nginx.pid;`], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = once(child, 'exit');
  const url = `http://127.0.0.1:${port}`;
  await answering(`${url}/v2/health/live`);
  return {
    url,
    stop: async () => {
      child.kill('SIGQUIT');
      await ended;
    },
  };
}

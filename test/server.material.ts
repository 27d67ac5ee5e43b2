// What the server tests share: tiny networks whose answers can be worked out by hand, files of them, and a server on a free port.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import crc from 'crc-32';
import { PNG } from 'pngjs';
import { type Model, PIXELS_TRANSFORM, type Task, writeModel } from '../codec/index.js';
import { createHandler, type Handler, type Listening, listen, openStore, type Store } from '../server/index.js';
import type { ServerOptions } from '../server/service.js';
import type { Engine } from '../src/engine/engine.js';
import { createReferenceEngine } from '../src/engine/reference.js';
import { fullMask, type Network, type Shape } from '../src/network.js';

/** A Python that has numpy. */
export const PYTHON = ['python3', '/usr/bin/python3'].find((python) => spawnSync(python, ['-c', 'import numpy']).status === 0);

export const engine: Engine = createReferenceEngine();

/** One linear dense layer of signed constants. */
export function tinyNetwork(input: Shape = [2, 2, 1], units = 3, low = 7): Network {
  const layers = [{ kind: 'dense', units, activation: 'linear' }] as const;
  return { input, layers, distribution: 'signed-constant', sigma: 'glorot', seed: { low, high: 0 } };
}

export function task(network: Network, id: string, labels: readonly string[], over: Partial<Task> = {}): Task {
  return { id, mask: fullMask(network, true), transform: PIXELS_TRANSFORM, labels, data: null, logitScale: 1, ...over };
}

export const oneTask = (network: Network, labels = ['a', 'b', 'c'], over: Partial<Task> = {}): Model => ({
  network,
  tasks: [task(network, '', labels, over)],
});

/** A fresh folder with these files; the caller removes it. */
export function folder(files: Readonly<Record<string, Uint8Array | string | Model>>): string {
  const root = mkdtempSync(join(tmpdir(), 'seedmask-'));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), typeof content === 'string' || content instanceof Uint8Array ? content : writeModel(content));
  }
  return root;
}

/** The store over such a folder, which is there until the process ends: masks are read when they are asked for. */
export function storeOf(files: Parameters<typeof folder>[0]): Promise<Store> {
  const root = folder(files);
  process.once('exit', () => rmSync(root, { recursive: true, force: true }));
  return openStore(root);
}

/** tiny: [2,2,1] -> a b c, two versions with labels; vector: 784 -> ten digits; colour: [2,2,3] -> two. */
export function sampleStore(more: Parameters<typeof folder>[0] = {}): Promise<Store> {
  return storeOf({
    'tiny.smk': oneTask(tinyNetwork()),
    'tiny/2.smk': oneTask(tinyNetwork([2, 2, 1], 3, 8)),
    'tiny/labels.json': '{"stable": 1, "canary": "2"}',
    'digits.smk': oneTask(
      tinyNetwork([28, 28, 1], 10),
      Array.from({ length: 10 }, (_, i) => String(i)),
    ),
    'colour.smk': oneTask(tinyNetwork([2, 2, 3], 4), ['warm', 'cold']),
    ...more,
  });
}

export async function serve(over: Partial<ServerOptions> = {}): Promise<Listening & { readonly handler: Handler }> {
  const handler = createHandler({ engine, store: over.store ?? (await sampleStore()), report: () => {}, ...over });
  return { ...(await listen(handler, { port: 0 })), handler };
}

/** Sends bytes as they are on a fresh connection and returns everything up to its end. */
export function raw(url: string, ...parts: readonly (string | Uint8Array)[]): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    let text = '';
    socket.setEncoding('latin1').on('data', (data) => {
      text += data;
    });
    socket.on('end', () => resolve(text)).on('error', reject);
    for (const part of parts) socket.write(part);
  });
}

/** POSTs a body; plain objects go as JSON without any Content-Type. */
export async function post(url: string, body: unknown, headers: Record<string, string> = {}) {
  const bytes =
    typeof body === 'string' ? Buffer.from(body) : body instanceof Uint8Array ? Buffer.from(body) : Buffer.from(JSON.stringify(body));
  const response = await fetch(url, { method: 'POST', body: bytes, headers });
  const content = new Uint8Array(await response.arrayBuffer());
  const type = response.headers.get('content-type');
  return {
    status: response.status,
    type,
    headers: response.headers,
    bytes: content,
    json: /^application\/(problem\+)?json$/.test(type ?? '') ? JSON.parse(Buffer.from(content).toString()) : null,
  };
}

export async function get(url: string, init: RequestInit = {}) {
  const response = await fetch(url, init);
  const text = await response.text();
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    headers: response.headers,
    text,
    json: text ? JSON.parse(text) : null,
  };
}

/** A chunk of a PNG. */
export function chunk(name: string, data: Uint8Array): Buffer {
  const named = Buffer.concat([Buffer.from(name), data]);
  const ends = [Buffer.alloc(4), Buffer.alloc(4)];
  ends[0].writeUInt32BE(data.length);
  ends[1].writeInt32BE(crc.buf(named));
  return Buffer.concat([ends[0], named, ends[1]]);
}

/** A PNG with so many more chunks of so many bytes, which say nothing. */
export function padded(image: Uint8Array, count: number, length: number): Buffer {
  return Buffer.concat([
    image.subarray(0, 33),
    ...new Array<Buffer>(count).fill(chunk('tEXt', new Uint8Array(length))),
    image.subarray(33),
  ]);
}

/** A PNG whose pixel i is [red, green, blue, alpha]. */
export function png(
  width: number,
  height: number,
  pixel: (i: number) => readonly [number, number, number, number],
  colorType: 0 | 2 | 4 | 6 = 6,
): Buffer {
  const image = new PNG({ width, height });
  for (let i = 0; i < width * height; i++) image.data.set(pixel(i), 4 * i);
  return PNG.sync.write(image, { colorType, inputColorType: 6 });
}

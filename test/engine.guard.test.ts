// Guards: the fast paths are really on. Without these, a silent fall-back to one thread or to scalar code would pass every test.

import { inflateRawSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { PIXELS } from '../src/engine/engine.js';
import { KERNELS } from '../src/engine/kernels.js';
import { packMask } from '../src/engine/packed.js';
import { Allocations, Machine } from '../src/engine/wasm/machine.js';
import { regenerateLayer } from '../src/engine/wasm/regenerate.js';
import { createWasmEngine } from '../src/engine/wasm.js';
import { fullMask, type Network, regenerate, ShapeError, sigmaOf, weighted } from '../src/network.js';
import { DISTRIBUTIONS, type Distribution, fillWeights, parseSeed } from '../src/random.js';
import { conv, dense, net } from './engine.material.js';

const bytesOf = (name: 'single' | 'shared') => new Uint8Array(inflateRawSync(Buffer.from(KERNELS[name], 'base64')));

test('kernels are valid here and contain SIMD', () => {
  for (const name of ['single', 'shared'] as const) {
    const bytes = bytesOf(name);
    expect(WebAssembly.validate(bytes)).toBe(true);
    // 0xfd opens every SIMD instruction (WebAssembly core specification, 5.4.8); scalar code has next to none.
    expect(bytes.filter((b) => b === 0xfd).length).toBeGreaterThan(500);
  }
});

/** i32 atomics by their bytes: prefix 0xfe, an opcode up to 0x4e, alignment 2 (WebAssembly threads proposal, binary format). */
const atomics = (bytes: Uint8Array) => bytes.filter((b, i) => b === 0xfe && bytes[i + 1] <= 0x4e && bytes[i + 2] === 2).length;

test('threads meet in atomics: only the shared build has them', () => {
  expect(atomics(bytesOf('shared'))).toBeGreaterThan(atomics(bytesOf('single')));
});

test('one and two threads, so both builds, train to the same bits', async () => {
  const network: Network = {
    input: [1, 1, 64],
    layers: [
      { kind: 'dense', units: 37, activation: 'relu' },
      { kind: 'dense', units: 10, activation: 'linear' },
    ],
    distribution: 'packed-signed-constant',
    sigma: 'glorot',
    seed: parseSeed('guard'),
  };
  const images = Uint8Array.from({ length: 32 * 64 }, (_, i) => (i * 37) & 255);
  const labels = Uint8Array.from({ length: 32 }, (_, i) => i % 10);
  const start = weighted(network).map((layer) => {
    const scores = new Float32Array(layer.weights);
    fillWeights('uniform', 1, network.seed, layer.stream, 0, scores);
    return scores;
  });
  const keep = [1000, 150];
  const runs = [];
  for (const threads of [1, 2]) {
    const engine = await createWasmEngine({ threads });
    expect(engine.threads).toBe(threads);
    const trainer = engine.topkTrainer(network, { images, labels, transform: PIXELS }, { scores: start }, { keep, gain: [1, 1] }, 16);
    const losses = [0, 16, 0, 16].map((first) => {
      const loss = trainer.gradients(Uint32Array.from({ length: 16 }, (_, i) => first + i));
      trainer.step({ learningRate: 0.1, momentum: 0.9 }, { keep, gain: [1, 1] });
      return loss;
    });
    runs.push({ losses, scores: trainer.scores(), mask: trainer.mask(keep) });
    engine.close();
  }
  expect(runs[1]).toEqual(runs[0]);
  expect(runs[0].scores[0]).not.toEqual(start[0]);
});

test('the shared build imports shared memory: it refuses an unshared one, and the single build the reverse', async () => {
  const wait = () => undefined;
  const shared = new WebAssembly.Memory({ initial: 16, maximum: 32768, shared: true });
  const own = new WebAssembly.Memory({ initial: 16, maximum: 32768 });
  await expect(WebAssembly.instantiate(bytesOf('shared'), { env: { memory: own, wait } })).rejects.toThrow(/shared/);
  await expect(WebAssembly.instantiate(bytesOf('single'), { env: { memory: shared, wait } })).rejects.toThrow(/shared/);
});

test('with two threads the second half of the outputs is written by the worker', async () => {
  // The caller runs as thread 0 of 2: what thread 1 owns can only come from the worker.
  const machine = await Machine.create(2, KERNELS.shared);
  const [values, velocity, gradient] = [machine.allocate(64), machine.allocate(64), machine.allocate(64)];
  machine.f32(gradient, 16).set(Array.from({ length: 16 }, (_, i) => i + 1));
  machine.run([['sgd', values, velocity, gradient, 16, 2, 0]]);
  expect([...machine.f32(values, 16)]).toEqual(Array.from({ length: 16 }, (_, i) => -2 * (i + 1)));
  machine.close();
});

test.each(Object.keys(DISTRIBUTIONS) as Distribution[])('the kernel regenerates %s weights as fillWeights does', async (distribution) => {
  const machine = await Machine.create(1, KERNELS.single);
  for (const [inputs, units] of [
    [784, 300],
    [1, 1],
    [37, 83],
  ]) {
    const network: Network = {
      input: [1, 1, inputs],
      layers: [{ kind: 'dense', units, activation: 'linear' }],
      distribution,
      sigma: 'glorot',
      seed: parseSeed('guard'),
    };
    const [layer] = weighted(network);
    const want = new Float32Array(layer.weights);
    fillWeights(distribution, sigmaOf('glorot', layer), network.seed, 0, 0, want);
    expect(Buffer.from(regenerateLayer(machine, network, layer).buffer).equals(Buffer.from(want.buffer))).toBe(true);
  }
});

test('memory may grow between two calls', async () => {
  const engine = await createWasmEngine({ threads: 2 });
  const network: Network = {
    input: [28, 28, 1],
    layers: [{ kind: 'dense', units: 10, activation: 'linear' }],
    distribution: 'normal',
    sigma: 'glorot',
    seed: parseSeed(1),
  };
  const pixels = Uint8Array.from({ length: 784 }, (_, i) => i & 255);
  const first = engine.classifier(network);
  const before = [...first.logits(pixels, 1)];
  const many = Array.from({ length: 40 }, () => engine.classifier(network));
  for (const classifier of many) expect([...classifier.logits(pixels, 1)]).toEqual(before);
  expect([...first.logits(pixels, 1)]).toEqual(before);
  engine.close();
});

test('memory that grew keeps what it held, for views made after', async () => {
  const machine = await Machine.create(2, KERNELS.shared);
  const values = Float32Array.from({ length: 100 }, (_, i) => i / 8);
  const pointer = machine.allocate(400);
  const before = machine.f32(pointer, 100);
  before.set(values);
  const bytes = before.buffer.byteLength;
  machine.allocate(8 << 20);
  const after = machine.f32(pointer, 100);
  expect(after.buffer.byteLength).toBeGreaterThan(bytes);
  expect(after.slice()).toEqual(values);
  machine.close();
});

test('a training step allocates nothing, whatever the method', async () => {
  const engine = await createWasmEngine({ threads: 2 });
  const network: Network = {
    input: [6, 6, 2],
    layers: [
      { kind: 'dense', units: 70, activation: 'relu' },
      { kind: 'dense', units: 10, activation: 'linear' },
    ],
    distribution: 'signed-constant',
    sigma: 'he',
    seed: parseSeed('memory'),
  };
  const image: Network = {
    ...network,
    layers: [{ kind: 'conv', filters: 8, activation: 'relu' }, { kind: 'pool' }, ...network.layers.slice(1)],
  };
  const data = {
    images: Uint8Array.from({ length: 64 * 72 }, (_, i) => (i * 37) & 255),
    labels: Uint8Array.from({ length: 64 }, (_, i) => i % 10),
    transform: PIXELS,
  };
  for (const net of [network, image]) {
    const counts = weighted(net).map((layer) => layer.weights);
    const weights = regenerate(net);
    const [keep, gain] = [counts.map((n) => n >> 3), counts.map(() => 1)];
    const sgd = { learningRate: 0.1, momentum: 0.9 };
    const adam = { learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
    const dense = engine.denseTrainer(net, data, { weights, biases: null }, 32);
    const ticket = engine.denseTrainer(net, data, { weights, biases: null }, 32, fullMask(net, true));
    const topk = engine.topkTrainer(net, data, { scores: weights }, { keep, gain }, 32);
    const scores = counts.map((n) => new Float32Array(n));
    const bernoulli = engine.bernoulliTrainer(net, data, { scores }, true, 32);
    const step = (i: number) => {
      const rows = Uint32Array.from({ length: 32 }, (_, k) => (i + k) % 64);
      for (const trainer of [dense, ticket, topk, bernoulli]) trainer.gradients(rows);
      dense.adam(adam);
      ticket.adam(adam);
      topk.step(sgd, { keep, gain });
      bernoulli.step(sgd, i);
    };
    step(0);
    const bytes = engine.memoryBytes;
    for (let i = 1; i < 200; i++) step(i);
    expect(engine.memoryBytes).toBe(bytes);
    for (const trainer of [dense, ticket, topk, bernoulli]) trainer.free();
  }
  engine.close();
});

test('a closed engine says so instead of waiting for its threads', async () => {
  const machine = await Machine.create(2, KERNELS.shared);
  machine.close();
  expect(() => machine.run([['meet']])).toThrow('the engine is closed');
});

test.each([1, 2])(
  'what a closed engine of %s threads made answers no more, however small the question, and can be freed',
  async (threads) => {
    const line = net([1, 1, 64], dense(8), dense(3, 'linear'));
    const image = net([8, 8, 1], conv(4), dense(3, 'linear'));
    const engine = await createWasmEngine({ threads });
    const made = [line, { ...line, distribution: 'normal' as const }, image].map((network) => engine.classifier(network));
    const any = engine.anyMask(line)!;
    const pixels = new Uint8Array(64).fill(9);
    const ask = [
      ...made.map((classifier) => () => classifier.logits(pixels, 1)),
      () => any.logits(packMask(line, fullMask(line, true)), pixels, 1),
    ];
    for (const one of ask) one();
    engine.close();
    for (const late of [...ask, () => engine.classifier(line), () => engine.anyMask(line)]) expect(late).toThrow('the engine is closed');
    for (const one of [...made, any]) one.free();
  },
);

test('what does not fit into memory is said, and leaves nothing behind', async () => {
  const machine = await Machine.create(1, KERNELS.single);
  const tooLarge = 2 ** 30;
  expect(() => machine.allocate(tooLarge)).toThrow(ShapeError);
  // Sizes beyond 32 bits would be read as small ones.
  expect(() => machine.allocate(2 ** 32 + 64)).toThrow(/^4294967360 bytes in one piece are more than the 1073741808 of the kernels/);
  const own = new Allocations(machine);
  const first = own.bytes(50_000);
  expect(() => own.bytes(tooLarge)).toThrow(ShapeError);
  expect(own.held).toBe(0);
  const again = machine.allocate(50_000);
  expect(again).toBe(first);
  machine.scratch(100_000);
  expect(() => machine.scratch(tooLarge)).toThrow(ShapeError);
  const other = machine.allocate(50_000);
  const scratch = machine.scratch(100_000);
  expect(other + 50_000 <= scratch || scratch + 100_000 <= other).toBe(true);
  machine.close();
});

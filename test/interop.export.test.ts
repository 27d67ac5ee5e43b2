// Exports, loaded by those they are for: ONNX Runtime (a folder named by SEEDMASK_ONNXRUNTIME, installed with --ignore-scripts), TensorFlow.js,
// NumPy and gcc. Logits agree within 1e-5 of the row's largest, the class does on every MNIST test image.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readSafetensors, SeedmaskError } from '../codec/index.js';
import { readNpz, toC, toLayersModel, toNpz, toOnnx, toSafetensors } from '../interop/index.js';
import type { Engine } from '../src/engine/engine.js';
import { createWasmEngine } from '../src/engine/wasm.js';
import { standardFeatures } from '../src/features.js';
import { inputs, isDense, type Network, outputs, regenerate } from '../src/network.js';
import { softmax } from '../src/probabilities.js';
import { randomFloats, randomPixels } from './engine.material.js';
import { type Case, checkLogits, logitsOf, MADE, mnistTest, ROOT, shipped } from './interop.material.js';

const folder = mkdtempSync(join(tmpdir(), 'seedmask-export-'));
const images = mnistTest();
let engine: Engine;
beforeAll(async () => {
  engine = await createWasmEngine({ threads: 2 });
  setWasmPaths(`${dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm/package.json'))}/dist/`);
  await tf.setBackend('wasm');
});
afterAll(() => {
  engine.close();
  rmSync(folder, { recursive: true });
});

const SHIPPED = ['mnist', 'mnist-tiny', 'mnist-lenet5', 'mnist-same-sign'];
/** All test images of MNIST in parts, or some random rows. */
const cases: [string, () => Case, () => Uint8Array][] = [
  ...SHIPPED.map((name): [string, () => Case, () => Uint8Array] => [name, () => shipped(name), () => images]),
  ...Object.entries(MADE).map(([name, made]): [string, () => Case, () => Uint8Array] => [
    name,
    () => made,
    () => randomPixels({ low: 5, high: 6 }, 23 * inputs(made.network)),
  ]),
];
const PART = 1000;
const parts = (raw: Uint8Array, width: number): Uint8Array[] =>
  Array.from({ length: Math.ceil(raw.length / width / PART) }, (_, i) => raw.subarray(i * PART * width, (i + 1) * PART * width));
const shapeOf = (network: Network, rows: number): number[] => [rows, ...(isDense(network) ? [inputs(network)] : network.input)];

// ---- ONNX ----

interface OnnxTensor {
  readonly data: Float32Array;
}
interface OnnxRuntime {
  Tensor: new (type: 'float32', data: Float32Array, shape: number[]) => OnnxTensor;
  InferenceSession: {
    create(bytes: Uint8Array, options: object): Promise<{ run(feeds: Record<string, OnnxTensor>): Promise<Record<string, OnnxTensor>> }>;
  };
}
const where = process.env['SEEDMASK_ONNXRUNTIME'];
if (!where) console.warn('ONNX Runtime is not tested: set SEEDMASK_ONNXRUNTIME to the folder of onnxruntime-node, as .ci/run does');

describe.skipIf(!where)('ONNX Runtime', () => {
  test.each(cases)(
    '%s',
    async (_, made, raw) => {
      const ort = createRequire(import.meta.url)(where!) as OnnxRuntime;
      const { network, task } = made();
      const session = await ort.InferenceSession.create(toOnnx(network, task), { logSeverityLevel: 3, intraOpNumThreads: 1 });
      for (const part of parts(raw(), inputs(network))) {
        const rows = part.length / inputs(network);
        const { logits, probabilities } = await session.run({
          input: new ort.Tensor('float32', Float32Array.from(part), shapeOf(network, rows)),
        });
        const want = logitsOf(engine, made(), part, rows);
        checkLogits(logits.data, want, outputs(network));
        const labels = task.labels.length;
        const ours = softmax(Float32Array.from(want), 0, labels, task.logitScale);
        for (const [i, p] of ours.entries()) expect(probabilities.data[i]).toBeCloseTo(p, 4);
        expect(probabilities.data.length).toBe(rows * labels);
      }
    },
    120_000,
  );
});

/** A task over numbers, and rows of them: some beyond either end, some halves between two bytes. */
function numbers(name = NUMBERS[0]): { made: Case; raw: Float32Array } {
  const { network, task } = MADE[name];
  const width = inputs(network);
  const raw = randomFloats(network.seed, 1, 40 * width, 30).map((value, i) => (i % 3 ? value : Math.round(value)));
  const features = standardFeatures(raw.subarray(0, 20 * width), width);
  for (let i = 0; i < width; i += 3) [features.low[i], features.scale[i]] = [-3, 1.5];
  return { made: { network, task: { ...task, transform: { ...task.transform, features } } }, raw };
}

/** Of vectors, and of images. */
const NUMBERS = ['a vector network with constant inputs', 'a pool first'];

test.skipIf(!where).each(NUMBERS)('ONNX Runtime: numbers become bytes in the graph: %s', async (name) => {
  const ort = createRequire(import.meta.url)(where!) as OnnxRuntime;
  const { made, raw } = numbers(name);
  const session = await ort.InferenceSession.create(toOnnx(made.network, made.task), { logSeverityLevel: 3 });
  const { logits } = await session.run({ input: new ort.Tensor('float32', raw, shapeOf(made.network, 40)) });
  checkLogits(logits.data, logitsOf(engine, made, raw, 40), outputs(made.network));
});

test('safetensors has how numbers become bytes', () => {
  const { network, task } = numbers().made;
  const { tensors } = readSafetensors(toSafetensors(network, task));
  expect(tensors.get('features.low')).toEqual({ shape: [19], values: task.transform.features!.low });
  expect(tensors.get('features.scale')).toEqual({ shape: [19], values: task.transform.features!.scale });
});

// ---- TensorFlow.js ----

async function layersModel({ network, task }: Case): Promise<tf.LayersModel> {
  const files = toLayersModel(network, task);
  const { modelTopology, weightsManifest, userDefinedMetadata } = JSON.parse(new TextDecoder().decode(files.get('model.json')));
  const weightData = files.get('weights.bin')!.buffer as ArrayBuffer;
  const model = await tf.loadLayersModel(
    tf.io.fromMemory({ modelTopology, weightSpecs: weightsManifest[0].weights, weightData, userDefinedMetadata }),
  );
  expect(userDefinedMetadata).toEqual({ labels: task.labels, logitScale: task.logitScale });
  return model;
}

test.each(cases)(
  'TensorFlow.js: %s',
  async (_, made, raw) => {
    const { network } = made();
    const model = await layersModel(made());
    for (const part of parts(raw(), inputs(network))) {
      const rows = part.length / inputs(network);
      const got = tf.tidy(() => (model.predict(tf.tensor(Float32Array.from(part), shapeOf(network, rows))) as tf.Tensor).dataSync());
      checkLogits(got, logitsOf(engine, made(), part, rows), outputs(network));
    }
    model.dispose();
  },
  120_000,
);

test.each(['cpu', 'wasm'])('TensorFlow.js, %s: numbers become bytes in layers, for images too', async (backend) => {
  await tf.setBackend(backend);
  for (const name of NUMBERS) {
    const { made, raw } = numbers(name);
    const model = await layersModel(made);
    const got = tf.tidy(() => (model.predict(tf.tensor(raw, shapeOf(made.network, 40))) as tf.Tensor).dataSync());
    checkLogits(got, logitsOf(engine, made, raw, 40), outputs(made.network));
    model.dispose();
  }
  await tf.setBackend('wasm');
});

// ---- NumPy, safetensors ----

// Reads both files, compares them, and answers with the logits of the images on its input, computed in f64.
const NUMPY = `
import json, sys
import numpy as np
z = np.load(sys.argv[1])
raw = open(sys.argv[2], 'rb').read()
n = int.from_bytes(raw[:8], 'little')
header = json.loads(raw[8:8 + n])
types = {'F32': '<f4', 'U8': '|u1'}
for name, entry in header.items():
    if name == '__metadata__': continue
    begin, end = entry['data_offsets']
    array = np.frombuffer(raw[8 + n + begin:8 + n + end], types[entry['dtype']]).reshape(entry['shape'])
    assert array.dtype == z[name].dtype and (array == z[name]).all(), name
assert header['__metadata__']['seed'] == str(z['seed'])
assert json.loads(header['__metadata__']['labels']) == z['labels'].tolist()
x = (np.frombuffer(sys.stdin.buffer.read(), 'u1').reshape(-1, z['input'].prod()).astype('f8') - z['mean']) * z['scale']
layers = sum(name.endswith('.weight') for name in z.files)
for i in range(layers):
    x = x @ (z[f'layers.{i}.weight'] * z[f'layers.{i}.mask'].astype('f8')).T
    if i < layers - 1: x = np.maximum(x, 0)
sys.stdout.buffer.write(x.astype('<f8').tobytes())
`;

test.each(['mnist', 'mnist-tiny', 'mnist-same-sign'])(
  'NumPy reads the NPZ and the safetensors of %s',
  (name) => {
    const { network, task } = shipped(name);
    const [npz, safe] = [join(folder, `${name}.npz`), join(folder, `${name}.safetensors`)];
    writeFileSync(npz, toNpz(network, task));
    writeFileSync(safe, toSafetensors(network, task));
    const out = execFileSync('/usr/bin/python3', ['-c', NUMPY, npz, safe], { input: images, maxBuffer: 2 ** 26 });
    const got = new Float64Array(new Uint8Array(out).buffer);
    checkLogits(got, logitsOf(engine, { network, task }, images, images.length / 784), outputs(network));
    expect(Buffer.compare(toNpz(network, task), readFileSync(npz))).toBe(0);
  },
  60_000,
);

test('safetensors of an image network: regenerated weights, mask, and what regenerates them', () => {
  const { network, task } = MADE['an image network of normal weights over centred inputs'];
  const { tensors, metadata } = readSafetensors(toSafetensors(network, task));
  expect(tensors.get('layers.1.weight')).toEqual({ shape: [4, 4, 4, 5], values: regenerate(network)[1] });
  expect([...tensors.get('layers.1.mask')!.values]).toContain(1);
  expect(Object.fromEntries(metadata)).toMatchObject({ seed: '21474838499', distribution: 'normal', mean: '120', logitScale: '1.5' });
});

// ---- C ----

const MAIN = `
#define SEEDMASK_WITH_LABELS
#include "model.h"
#include <stdio.h>
int main(void) {
  static uint8_t input[SEEDMASK_INPUTS];
  int32_t logits[SEEDMASK_OUTPUTS];
  while (fread(input, 1, sizeof input, stdin) == sizeof input) {
    int best = seedmask_classify(input, logits);
    fwrite(logits, 4, SEEDMASK_OUTPUTS, stdout);
    fprintf(stderr, "%s\\n", seedmask_labels[best]);
  }
  return 0;
}`;
const GCC = ['-std=c99', '-Wall', '-Wextra', '-Werror', '-Os', '-I', folder];
const hasGcc = spawnSync('gcc', ['--version']).status === 0;
if (!hasGcc) console.warn('the C export is not tested: there is no gcc');
const hasCpp = spawnSync('g++', ['--version']).status === 0;
if (!hasCpp) console.warn('the C export is not tested as C++: there is no g++');

/** Bytes of code and constants, and of variables, as the compiler makes them. */
function sizes(source: string): { flash: number; ram: number } {
  writeFileSync(join(folder, 'size.c'), source);
  execFileSync('gcc', [...GCC, '-c', '-o', join(folder, 'size.o'), join(folder, 'size.c')]);
  const [text, data, bss] = execFileSync('size', [join(folder, 'size.o')], { encoding: 'utf8' })
    .split('\n')[1]
    .trim()
    .split(/\s+/)
    .map(Number);
  return { flash: text + data, ram: data + bss };
}

describe.skipIf(!hasGcc && !process.env['CI'])('gcc', () => {
  const whole = cases.filter(([name]) => !/normal|uniform/.test(name));
  test.each(whole)(
    '%s: the same integers',
    (_, made, raw) => {
      const { network, task } = made();
      writeFileSync(join(folder, 'model.h'), toC(network, task).text);
      writeFileSync(join(folder, 'main.c'), MAIN);
      execFileSync('gcc', [...GCC, '-fsanitize=undefined,address', '-o', join(folder, 'main'), join(folder, 'main.c')]);
      // Sanitizers take a while where there are convolutions, and where every weight's sign has a word of its own.
      const quick = isDense(network) && network.distribution === 'packed-signed-constant';
      const rows = raw().subarray(0, (quick ? 10_000 : 500) * inputs(network));
      const { stdout, stderr, status } = spawnSync(join(folder, 'main'), { input: rows, maxBuffer: 2 ** 26 });
      expect(status, stderr.toString().slice(0, 2000)).toBe(0);
      const count = rows.length / inputs(network);
      const want = logitsOf(engine, { network, task }, rows, count);
      const scale = engine.classifier(network, { mask: task.mask, transform: task.transform }).scale;
      expect(new Int32Array(new Uint8Array(stdout).buffer)).toEqual(Int32Array.from(want, (value) => Math.round(value / scale)));
      const said = stderr.toString().trimEnd().split('\n');
      const classes = task.labels.length;
      const best = Array.from({ length: count }, (_, row) => {
        const logits = want.subarray(row * outputs(network), row * outputs(network) + classes);
        return task.labels[logits.indexOf(Math.max(...logits))];
      });
      expect(said).toEqual(best);
    },
    120_000,
  );

  test('numbers: the same integers, and the size it says', () => {
    const { made, raw } = numbers();
    const { text, ramBytes } = toC(made.network, made.task);
    writeFileSync(join(folder, 'model.h'), text);
    writeFileSync(join(folder, 'main.c'), MAIN.replace('uint8_t input', 'float input').replace('classify(', 'classify_numbers('));
    execFileSync('gcc', [...GCC, '-fsanitize=undefined,address', '-o', join(folder, 'main'), join(folder, 'main.c')]);
    const odd = Float32Array.from(raw).fill(Number.NaN, 0, 3).fill(Number.POSITIVE_INFINITY, 3, 6).fill(Number.NEGATIVE_INFINITY, 6, 9);
    const { stdout, status } = spawnSync(join(folder, 'main'), { input: new Uint8Array(odd.buffer) });
    expect(status).toBe(0);
    const { scale } = engine.classifier(made.network, { mask: made.task.mask, transform: made.task.transform });
    const want = Int32Array.from(logitsOf(engine, made, odd, 40), (value) => Math.round(value / scale));
    expect(new Int32Array(new Uint8Array(stdout).buffer)).toEqual(want);
    const said = text.slice(0, text.indexOf('*/'));
    expect(said).toContain('Activations lie in static memory: one call at a time.');
    expect(said).toContain('below 0 they are 0, above 255 they are 255, and of NaN 0.');
    const { ram } = sizes(
      '#include "model.h"\nint classify(const float *in, int32_t *out) { return seedmask_classify_numbers(in, out); }\n',
    );
    expect(ram - ramBytes).toBeGreaterThanOrEqual(0);
    expect(ram - ramBytes).toBeLessThanOrEqual(96);
  });

  test('NumPy reads the names of numbers and classes, in any letters', () => {
    const { made } = numbers();
    const names = Array.from({ length: inputs(made.network) }, (_, i) => `größe \u{1f600} ${i}`);
    const task = { ...made.task, transform: { ...made.task.transform, features: { ...made.task.transform.features!, names } } };
    writeFileSync(join(folder, 'names.npz'), toNpz(made.network, task));
    const script = "import numpy, json, sys; z = numpy.load(sys.argv[1]); print(json.dumps([z['columns'].tolist(), z['labels'].tolist()]))";
    const out = execFileSync('/usr/bin/python3', ['-c', script, join(folder, 'names.npz')], { encoding: 'utf8' });
    expect(JSON.parse(out)).toEqual([names, task.labels]);
    // Our own reader passes over texts.
    expect(readNpz(toNpz(made.network, task)).get('columns')).toMatchObject({ shape: [names.length], type: expect.stringMatching(/^<U/) });
  });

  test('numbers with names have them in order', () => {
    const { made } = numbers();
    const named = Array.from({ length: inputs(made.network) }, (_, i) => `größe "${i}"`);
    const features = { ...made.task.transform.features!, names: named };
    const { text } = toC(made.network, { ...made.task, transform: { ...made.task.transform, features } });
    expect(text).toContain('takes SEEDMASK_INPUTS floats, in order of seedmask_columns, and makes');
    expect(toC(made.network, made.task).text).not.toContain('columns');
    writeFileSync(join(folder, 'model.h'), text);
    const print = 'for (int i = 0; i < SEEDMASK_INPUTS; i++) puts(seedmask_columns[i]);';
    const main = `#define SEEDMASK_WITH_LABELS\n#include "model.h"\n#include <stdio.h>\nint main(void) { ${print} return !seedmask_classify_numbers; }\n`;
    writeFileSync(join(folder, 'main.c'), main);
    execFileSync('gcc', [...GCC, '-Wno-address', '-o', join(folder, 'main'), join(folder, 'main.c')]);
    expect(execFileSync(join(folder, 'main'), { encoding: 'utf8' }).trimEnd().split('\n')).toEqual(named);
  });

  /** What a compiler says of a source file; nothing where it takes it. */
  const complaint = (compiler: string, standard: string, source: string) => {
    const flags = ['-Wall', '-Wextra', '-pedantic', '-Werror', '-fsyntax-only', '-I', folder, '-x', compiler === 'gcc' ? 'c' : 'c++', '-'];
    return spawnSync(compiler, [`-std=${standard}`, ...flags], { input: source, encoding: 'utf8' }).stderr;
  };
  const write = (name: string, { network, task }: Case) => writeFileSync(join(folder, `${name}.h`), toC(network, task).text);

  const standards = [
    ['gcc', 'c99'],
    ['gcc', 'c2x'],
    ['g++', 'c++11'],
    ['g++', 'c++20'],
  ].filter(([compiler]) => compiler === 'gcc' || hasCpp);
  test.each(standards)('%s takes it as %s, twice too, and refuses the header of a second model', (compiler, standard) => {
    const { made } = numbers();
    write('numbers', made);
    write('tiny', shipped('mnist-tiny'));
    write('same', shipped('mnist-tiny'));
    const use = (...names: string[]) => `${names.map((name) => `#include "${name}.h"\n`).join('')}
int classify(const uint8_t *in, int32_t *out) { return seedmask_classify(in, out); }\n`;
    const real = 'double real(const int32_t *logits) { return SEEDMASK_LOGIT_SCALE * SEEDMASK_SCALE * logits[0]; }\n';
    expect(complaint(compiler, standard, use('tiny', 'tiny', 'same') + real)).toBe('');
    const both = 'int both(const float *in, int32_t *out) { return seedmask_classify_numbers(in, out); }\n';
    expect(complaint(compiler, standard, use('numbers') + both)).toBe('');
    const second = complaint(compiler, standard, use('tiny', 'numbers'));
    expect(second).toMatch(/error: #error "a source file takes one Seedmask header, and this is that of a second model: include it in/);
    expect(second.match(/error:/g)).toHaveLength(1);
  });

  test('probabilities come of its logits as its comment says', () => {
    const { network, task } = MADE['a vector network with constant inputs'];
    const { text } = toC(network, task);
    expect(text).toContain('softmax(SEEDMASK_LOGIT_SCALE * SEEDMASK_SCALE * logits)');
    const { scale } = engine.classifier(network, { mask: task.mask, transform: task.transform });
    const value = (name: string) => Number(new RegExp(`#define SEEDMASK_${name} (.*)`).exec(text)![1]);
    expect([value('LOGIT_SCALE'), value('SCALE')]).toEqual([task.logitScale, scale]);
  });

  test('mnist-tiny takes 8 KB of flash and what it says of RAM', () => {
    const { network, task } = shipped('mnist-tiny');
    const { text, dataBytes, ramBytes } = toC(network, task);
    writeFileSync(join(folder, 'model.h'), text);
    const { flash, ram } = sizes(
      '#include "model.h"\nint classify(const uint8_t *in, int32_t *out) { return seedmask_classify(in, out); }\n',
    );
    expect(flash).toBeLessThanOrEqual(8192);
    expect(dataBytes).toBeLessThan(flash);
    // The compiler may align the two buffers.
    expect(ram - ramBytes).toBeGreaterThanOrEqual(0);
    expect(ram - ramBytes).toBeLessThanOrEqual(64);
    expect(text).toContain(`${dataBytes} bytes of constant data and ${ramBytes} bytes of RAM`);
  });
});

// ---- what cannot be exported ----

const refusal = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (error instanceof SeedmaskError && error.code === 'no-export') return error.message;
    throw error;
  }
  return 'nothing';
};

test('safetensors and NPZ say which inputs are declared constant', () => {
  const { network, task } = shipped('mnist-tiny');
  const constant = Uint8Array.from({ length: 98 }, (_, i) => i & 255);
  const constants = { ...task, transform: { ...task.transform, constant } };
  const bits = Uint8Array.from({ length: 784 }, (_, i) => (constant[i >> 3] >> (i & 7)) & 1);
  expect(readSafetensors(toSafetensors(network, constants)).tensors.get('constant')).toEqual({ shape: [784], values: bits });
  expect(readNpz(toNpz(network, constants)).get('constant')).toEqual({ shape: [784], values: bits });
  expect(readNpz(toNpz(network, task)).has('constant')).toBe(false);
});

test('what a format cannot carry is refused in one line', () => {
  const tiny = shipped('mnist-tiny');
  for (const sigma of [1e-16, 1e15])
    expect(refusal(() => toOnnx({ ...tiny.network, sigma }, tiny.task))).toMatch(
      /it has a factor of [\d.e+-]+ at its logits, supported are factors within float32/,
    );
  const normal = MADE['an image network of normal weights over centred inputs'];
  expect(refusal(() => toC(normal.network, normal.task))).toMatch(
    /^the task cannot be exported: it has normal weights, supported are in C an integer program/,
  );
  const { network, task } = MADE['an image network of packed signs'];
  const constant = new Uint8Array(18).fill(1);
  for (const write of [toC, toOnnx, toLayersModel])
    expect(refusal(() => write(network, { ...task, transform: { ...task.transform, constant } }))).toMatch(
      /constant inputs under a convolution/,
    );
});

test('the mask of another network is refused, whatever the format', () => {
  const { network, task } = shipped('mnist-tiny');
  const other = { ...task, mask: task.mask.map((bits) => bits.subarray(1)) };
  for (const write of [toC, toOnnx, toLayersModel, toNpz, toSafetensors])
    expect(() => write(network, other)).toThrow(
      expect.objectContaining({
        code: 'bad-task',
        message: expect.stringMatching(/^the mask must be one bit for every weight, got mask layer 0/),
      }),
    );
});

test('the command writes what the library gives, for a task of an archive too', () => {
  const run = (...words: string[]) =>
    spawnSync(process.execPath, [join(ROOT, 'dist', 'cli', 'main.js'), ...words], { encoding: 'utf8', cwd: folder });
  const trained = join(ROOT, 'models', 'trained');
  expect(run('pack', join(trained, 'mnist.smk'), join(trained, 'mnist-tiny.smk'), '--out', 'archive.smk').status).toBe(0);
  const tiny = shipped('mnist-tiny');
  for (const [to, bytes] of Object.entries({
    onnx: toOnnx(tiny.network, tiny.task),
    npz: toNpz(tiny.network, tiny.task),
    c: Buffer.from(toC(tiny.network, tiny.task).text),
  })) {
    const { stdout, stderr } = run('export', 'archive.smk#mnist-tiny', '--to', to, '--out', `tiny.${to}`, '--json');
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({ task: 'mnist-tiny', format: to, files: [{ file: `tiny.${to}`, fileBytes: bytes.length }] });
    expect(Buffer.compare(readFileSync(join(folder, `tiny.${to}`)), bytes)).toBe(0);
  }
  expect(run('export', 'archive.smk', '--task', 'mnist', '--to', 'tfjs', '--out', 'tiny').stdout).toMatch(
    /^tiny\/model.json: .*\ntiny\/weights.bin: 1,064,800 bytes\n$/,
  );
  expect(run('export', 'archive.smk', '--to', 'onnx', '--out', 'x.onnx').stderr).toMatch(
    /^seedmask: archive.smk holds several tasks: mnist, mnist-tiny/,
  );
  writeFileSync(join(folder, 'a#b.smk'), readFileSync(join(folder, 'archive.smk')));
  expect(run('export', 'a#b.smk#mnist', '--to', 'npz', '--out', 'x.npz').status).toBe(0);
  expect(run('export', 'a#b.smk', '--task', 'mnist', '--to', 'npz', '--out', 'x.npz').status).toBe(0);
  expect(run('export', 'archive.smk#mnist', '--task', 'mnist-tiny', '--to', 'npz', '--out', 'x').stderr).toMatch(
    'the task must be named once, got mnist and --task mnist-tiny',
  );
  expect(run('export', 'archive.smk#mnist', '--to', 'pickle', '--out', 'x').stderr).toMatch(
    /Allowed choices are onnx, tfjs, safetensors, npz, c/,
  );
});

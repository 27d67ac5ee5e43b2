// seedmask import: what other programs trained. Initial and final weights give masks by any criterion, and a report of them; a mask made
// elsewhere gives a model file, as the weights under it come from a seed. Files: safetensors, NPZ, TensorFlow.js model.json, ONNX.

import { dirname, join } from 'node:path';
import { Command, Option } from 'commander';
import { DEFAULT_LIMITS, type Model, PIXELS_TRANSFORM, SeedmaskError, writeModel, writeSafetensors } from '../../codec/index.js';
import {
  type FileArray,
  LAYOUTS,
  type LayerTensors,
  type LayoutName,
  pickLayers,
  readLayersModel,
  readLayersModelIndex,
  readNpz,
  readOnnxLayers,
  readTensors,
  readTexts,
  toMask,
  toParameters,
} from '../../interop/index.js';
import { createWasmEngine } from '../../src/engine/wasm.js';
import { CRITERIA, type Criterion, criterionMask, paperRates, roundsTo } from '../../src/masks/criteria.js';
import {
  describe,
  keptBytes,
  type Mask,
  type Network,
  outputs,
  type Parameters,
  totalKept,
  totalWeights,
  weightCounts,
  weightShapes,
} from '../../src/network.js';
import { DISTRIBUTIONS, type Distribution, formatSeed, type Seed } from '../../src/random.js';
import { channelsOf, checkFits, columnsJson, columnsLine, oddities, seenBy } from '../datasets/fit.js';
import { loadDataset } from '../datasets/load.js';
import type { LoadedData } from '../datasets/own-data.js';
import { checkNoInput, checkWritable, readFile, writeFileSafely } from '../files.js';
import { accuracies, accuracyUnder, partsOf, taskModel } from '../learn.js';
import { inFile } from '../models.js';
import { type NamedNetwork, networkOption } from '../network-option.js';
import {
  type ColumnOptions,
  categoriesOption,
  columnOptionsOf,
  dataOption,
  fraction,
  ignoreOption,
  imputeOption,
  labelOption,
  named,
  type Output,
  outputOf,
  refuseGiven,
  seedOption,
  threadsOption,
} from '../options.js';
import { warn } from '../progress.js';

interface Options extends Output, ColumnOptions {
  initial?: string;
  final?: string;
  mask?: string;
  network: NamedNetwork;
  data?: string;
  criterion?: Criterion;
  keep: number;
  layout?: LayoutName;
  tensors?: string[];
  seed: Seed;
  distribution: Distribution;
  sigma: 'he' | 'glorot' | number;
  threads?: number;
  out?: string;
}

const sigma = (text: string): 'he' | 'glorot' | number => {
  const value = Number(text);
  return text.trim() !== '' && value > 0 && Number.isFinite(value) ? value : named(['he', 'glorot'])(text);
};

export function makeCommand(): Command {
  return new Command('import')
    .option('--initial <file>', 'weights before training (.safetensors, .npz, .onnx, or model.json of TensorFlow.js)')
    .option('--final <file>', 'weights after training')
    .addOption(
      new Option('--mask <file>', 'masks of 0 and 1 (.safetensors or .npz), to be written as a model file').conflicts(['initial', 'final']),
    )
    .addOption(networkOption())
    .addOption(dataOption().makeOptionMandatory(false))
    .addOption(labelOption())
    .addOption(ignoreOption())
    .addOption(categoriesOption())
    .addOption(imputeOption())
    .addOption(new Option('--criterion <name>', `one of ${CRITERIA.join(', ')} (default: all)`).argParser(named(CRITERIA)))
    .option('--keep <fraction>', 'kept fraction of the hidden dense layers (conv layers and the last keep more)', fraction, 0.2)
    .addOption(
      new Option('--layout <name>', 'order of dimensions where a file leaves it open (default: what fits)').choices(Object.keys(LAYOUTS)),
    )
    .option('--tensors <names>', 'names of the weight tensors, comma-separated, in order (default: *.weight, *.kernel)', (text) =>
      text.split(','),
    )
    .addOption(seedOption())
    .addOption(
      new Option('--distribution <name>', 'of the weights under a mask')
        .choices(Object.keys(DISTRIBUTIONS))
        .default('packed-signed-constant'),
    )
    .addOption(new Option('--sigma <rule>', 'he, glorot or a number').argParser(sigma).default('he'))
    .addOption(threadsOption())
    .option('--out <file>', 'with --mask: model file to write (.smk); with weights and one --criterion: its masks (.safetensors)')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  seedmask import --initial start.safetensors --final trained.safetensors --data mnist --network fc
  seedmask import --initial start/model.json --final trained/model.json --criterion large_final --keep 0.1 --out masks.safetensors
  seedmask import --initial start.onnx --final trained.onnx --data mnist --json
  seedmask import --mask masks.npz --seed 7 --data mnist --out mine.smk

Accuracies with --initial and --final are those of weights that were trained on pixels divided by 255, from 0 to 1. Of numbers (CSV) none
are told, as only who trained the weights knows how these were scaled. With --mask the new file says what its task makes of rows.`,
    )
    .action(async (options: Options, command: Command) => {
      checkOptions(options, command);
      await (options.mask === undefined ? fromWeights(options) : fromMask(options, options.mask));
    });
}

function checkOptions({ mask, initial, final, data }: Options, command: Command): void {
  if (data === undefined) refuseGiven(command, ['label', 'threads'], '--data');
  if (mask !== undefined) refuseGiven(command, ['criterion', 'keep'], '--initial and --final');
  else refuseGiven(command, ['distribution', 'sigma'], '--mask');
  const both = (end: RegExp) => [initial, final].every((file) => file !== undefined && end.test(file));
  if (both(/\.(onnx|json)$/)) refuseGiven(command, ['tensors'], 'a file without a graph (.safetensors or .npz)');
  if (both(/\.json$/)) refuseGiven(command, ['layout'], 'a file that leaves it open, which no .json does');
}

const EXTENSIONS = '.safetensors, .npz, .onnx or .json of a TensorFlow.js LayersModel';

/** What a file holds: arrays of layers, and of safetensors the texts beside them. */
interface Held {
  readonly layers: readonly LayerTensors[];
  readonly texts?: ReadonlyMap<string, string>;
}

function heldIn(file: string, what: 'weight' | 'mask', { network, tensors, layout, out }: Options): Promise<Held> {
  const read = (path: string, limit?: number) => {
    if (out !== undefined) checkNoInput(out, [path]);
    return readFile(path, limit);
  };
  return inFile(file, () => {
    const pick = (all: ReadonlyMap<string, FileArray>) => pickLayers(network.architecture, all, what, tensors, layout);
    if (file.endsWith('.safetensors')) {
      const bytes = read(file);
      return { layers: pick(readTensors(bytes)), texts: readTexts(bytes) };
    }
    if (file.endsWith('.npz')) return { layers: pick(readNpz(read(file))) };
    if (what === 'weight' && file.endsWith('.onnx')) return { layers: readOnnxLayers(read(file), network.architecture, layout) };
    if (what === 'weight' && file.endsWith('.json')) {
      const index = readLayersModelIndex(read(file, 2 ** 24));
      let left = DEFAULT_LIMITS.maxFileBytes;
      const parts = index.files.map((name) => {
        const part = read(join(dirname(file), name), left);
        left -= part.length;
        return part;
      });
      return { layers: readLayersModel(index, Buffer.concat(parts)) };
    }
    throw new SeedmaskError('bad-option', {
      field: `--${what}`,
      expected: what === 'mask' ? '.safetensors or .npz' : EXTENSIONS,
      got: file,
    });
  });
}

// ---- weights ----

interface Row {
  readonly criterion: Criterion;
  readonly kept: number;
  readonly density: number;
  /** Test accuracies under the mask, with --data. */
  readonly initialAccuracy?: number;
  readonly constantAccuracy?: number;
  readonly finalAccuracy?: number;
}

/** What our own files tell of the weights that they begin with: a criterion says nothing of a pair that did not begin alike. */
const BEGINNING = ['network', 'seed', 'distribution', 'sigma'];

function checkBeginning({ texts: began }: Held, { texts: ended }: Held): void {
  if (!began?.has('network') || !ended?.has('network')) return;
  const other = BEGINNING.find((text) => began.has(text) && ended.has(text) && began.get(text) !== ended.get(text));
  if (other === undefined) return;
  const expected = `of the ${other} ${began.get(other)}, as --initial is`;
  throw new SeedmaskError('bad-checkpoint', { field: '--final', expected, got: `one of the ${other} ${ended.get(other)}` });
}

async function fromWeights(options: Options): Promise<void> {
  const { architecture } = options.network;
  const { seed, keep } = options;
  const need = (name: 'initial' | 'final') => {
    const file = options[name];
    if (file === undefined) throw new SeedmaskError('bad-option', { field: `--${name}`, expected: 'given, or --mask', got: 'nothing' });
    return inFile(file, async () => {
      const held = await heldIn(file, 'weight', options);
      return { held, parameters: toParameters(architecture, held.layers) };
    });
  };
  const [began, ended] = [await need('initial'), await need('final')];
  checkBeginning(began.held, ended.held);
  const [initial, final] = [began.parameters, ended.parameters];
  if (options.out !== undefined) {
    if (!options.criterion) throw new SeedmaskError('bad-option', { field: '--criterion', expected: 'given with --out', got: 'nothing' });
    checkOut(options.out, options);
  }
  const data = dataOf(options);
  if (data?.train.features) {
    const expected = 'images, as no file tells how numbers were scaled for these weights';
    throw new SeedmaskError('bad-option', { field: '--data', expected, got: 'numbers', hint: 'Leave it away for the masks alone' });
  }
  const network: Network = { ...architecture, distribution: 'normal', sigma: 'glorot', seed };
  const rates = paperRates(network, roundsTo(keep));
  const criteria = options.criterion ? [options.criterion] : CRITERIA;
  const masks = criteria.map((criterion) => criterionMask(network, criterion, initial.weights, final.weights, rates, seed));
  const engine = data && (await createWasmEngine({ threads: options.threads }));
  const all = totalWeights(network);
  const rows = masks.map((mask, i): Row => {
    const total = totalKept(mask);
    const row = { criterion: criteria[i], kept: total, density: total / all };
    if (!engine) return row;
    const test = (parameters: Parameters) => accuracyUnder(engine, network, { parameters, mask }, data.test);
    return {
      ...row,
      initialAccuracy: test({ weights: initial.weights, biases: null }),
      constantAccuracy: test({ weights: initial.weights.map((w) => w.map(Math.sign)), biases: null }),
      finalAccuracy: test(final),
    };
  });
  const trainedAccuracy = engine ? accuracyUnder(engine, network, { parameters: final }, data.test) : undefined;
  engine?.close();
  if (options.out !== undefined) writeFileSafely(options.out, maskFile(network, masks[0]));
  const report = {
    network: describe(network),
    weights: all,
    keep,
    trainedAccuracy,
    criteria: rows,
    ...(options.out !== undefined && { file: options.out }),
  };
  outputOf(options).print(report, () => textOf(rows, trainedAccuracy, options.out));
}

function maskFile(network: Network, mask: Mask): Uint8Array {
  const counts = weightCounts(network);
  return writeSafetensors(
    weightShapes(network).map((shape, i) => [`layers.${i}.mask`, { shape, values: keptBytes(mask[i], counts[i]) }]),
    { network: describe(network) },
  );
}

const percent = (accuracy: number | undefined): string => (accuracy === undefined ? '' : `${(100 * accuracy).toFixed(2)} %`).padStart(11);

const textOf = (rows: readonly Row[], trained: number | undefined, out: string | undefined): string =>
  [
    `${'criterion'.padEnd(24)}${'kept'.padStart(10)}${trained === undefined ? '' : '    initial  constants      final'}`,
    ...rows.map((row) =>
      `${row.criterion.padEnd(24)}${percent(row.density).slice(1)}${[row.initialAccuracy, row.constantAccuracy, row.finalAccuracy].map(percent).join('')}`.trimEnd(),
    ),
    ...(trained === undefined
      ? []
      : [
          `test accuracies under each mask: initial weights, their signs, final weights; without a mask the final weights have ${percent(trained).trim()}`,
        ]),
    ...(out === undefined ? [] : [`${out}: the masks`]),
  ].join('\n');

function checkOut(out: string, { network }: Options): void {
  checkWritable(out);
  checkNoInput(out, [network.file]);
}

function dataOf(options: Options): LoadedData | null {
  const {
    data,
    out,
    network: { architecture },
  } = options;
  if (data === undefined) return null;
  const loaded = loadDataset(data, { ...columnOptionsOf(options), channels: channelsOf(architecture), out });
  checkFits(loaded, architecture, { classes: outputs(architecture) });
  return loaded;
}

// ---- a mask ----

async function fromMask(options: Options, file: string): Promise<void> {
  const { out, seed, distribution } = options;
  if (out === undefined) throw new SeedmaskError('bad-option', { field: '--out', expected: 'given with --mask', got: 'nothing' });
  checkOut(out, options);
  const data = dataOf(options);
  const { architecture } = options.network;
  const seen = data ? seenBy(architecture, data.train) : architecture;
  const network: Network = { ...seen, distribution, sigma: options.sigma, seed };
  const mask = await inFile(file, async () => toMask(network, (await heldIn(file, 'mask', options)).layers));
  let model: Model;
  let quality: ReturnType<typeof accuracies> | undefined;
  if (data) {
    const engine = await createWasmEngine({ threads: options.threads });
    warn(...oddities(data));
    const { validation } = partsOf(data.train, seed);
    model = taskModel(engine, network, mask, data, validation);
    quality = accuracies(engine, model, data, validation);
    engine.close();
  } else {
    const labels = Array.from({ length: outputs(network) }, (_, i) => String(i));
    model = { network, tasks: [{ id: '', mask, transform: PIXELS_TRANSFORM, labels, data: null, logitScale: 1 }] };
  }
  const bytes = writeModel(model);
  writeFileSafely(out, bytes);
  const total = totalKept(model.tasks[0].mask);
  const result = {
    network: describe(network),
    seed: formatSeed(seed),
    weights: totalWeights(network),
    kept: total,
    ...columnsJson(data?.columns),
    ...quality,
    fileBytes: bytes.length,
    file: out,
  };
  const numbers = `${out}: ${bytes.length.toLocaleString('en')} bytes, ${total.toLocaleString('en')} weights kept`;
  outputOf(options).print(result, () =>
    quality
      ? `${data?.columns ? `${columnsLine(data.columns)}\n` : ''}${numbers}, test ${quality.testAccuracy.toFixed(4)}`
      : `${numbers}; without --data it takes pixels of 0 to 255, and its classes are 0 to ${outputs(network) - 1}`,
  );
}

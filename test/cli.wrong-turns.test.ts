// The command line as its users meet it: the built program in a child process. Every wrong turn is one line on stderr, nothing on
// stdout, exit 1, and nothing half-written; every --json is one object.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DIGITS, type Model, PIXELS_TRANSFORM, writeModel, writeSafetensors } from '../codec/index.js';
import { nameOf } from '../experiments/cells/cell.js';
import { figure5 } from '../experiments/figures/figure-05.js';
import { planOf } from '../experiments/sweep/conduct.js';
import { writeNpz } from '../interop/npz.js';
import { fc } from '../models/index.js';
import { fullMask } from '../src/network.js';
import { parseSeed } from '../src/random.js';
import { commandLine, MAIN } from './cli.material.js';

const { folder, seedmask } = commandLine('cli');

const network = { ...fc, distribution: 'packed-signed-constant', sigma: 'he', seed: parseSeed(1) } as const;
const task = { id: '', mask: fullMask(network, true), transform: PIXELS_TRANSFORM, labels: DIGITS, data: null, logitScale: 1 };
const one: Model = { network, tasks: [task] };
const bytes = writeModel(one);
const path = (name: string, content: Uint8Array | string) => {
  writeFileSync(join(folder, name), content);
  return name;
};
const good = path('good.smk', bytes);
const flipped = bytes.slice();
flipped[30] ^= 4;
path('archive.smk', writeModel({ ...one, tasks: ['a', 'b'].map((id) => ({ ...task, id })) }));
path('many.smk', writeModel({ ...one, tasks: Array.from({ length: 30 }, (_, i) => ({ ...task, id: `task-${10 + i}` })) }));
mkdirSync(join(folder, 'damaged', 'cells'), { recursive: true });
for (const cell of figure5.cells(planOf('quick')))
  writeFileSync(join(folder, 'damaged', 'cells', `${nameOf(cell)}.json`), '{"cell":{},"rows":[{}]}');
mkdirSync(join(folder, 'no-labels'));
mkdirSync(join(folder, 'empty'));
symlinkSync('circle', join(folder, 'circle'));
mkdirSync(join(folder, 'file-as-cells'));
writeFileSync(join(folder, 'file-as-cells', 'cells'), '');
// An IDX file of no images: magic, zero rows of 28 x 28.
writeFileSync(join(folder, 'no-labels', 'train-images-idx3-ubyte'), Uint8Array.from([0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, 28, 0, 0, 0, 28]));

const prune = ['prune', '--data', 'mnist', '--out', 'x'];
const train = ['train', '--data', 'mnist', '--out', 'x.smk'];
const tiny = ['--network', 'own.json'];
const mask = ['import', '--mask', 'masks.npz', ...tiny, '--out', 'x.smk'];
const weights = ['import', '--initial', 'weights.safetensors', '--final', 'weights.safetensors', ...tiny];
const graph = ['import', '--initial', 'x.onnx', '--final', 'model.json'];
const keras = ['import', '--initial', 'first.json', '--final', 'model.json'];

test.each<[what: string, words: string[], line: RegExp]>([
  ['unknown command', ['frobnicate'], /unknown command 'frobnicate'/],
  ['unknown option', ['train', '--data', 'mnist', '--out', 'x.smk', '--bogus'], /unknown option '--bogus'/],
  ['mistyped command', ['inspct', 'x'], /Did you mean inspect/],
  ['missing option', ['train', '--data', 'mnist'], /--out <file>/],
  ['bad density', ['train', '--data', 'mnist', '--out', 'x.smk', '--density', '2'], /fraction above 0 and at most 1, got '2'/],
  [
    'a density below a weight',
    ['train', '--data', 'mnist', '--out', 'x.smk', '--density', '1e-80'],
    /at least 3\.7\d+e-9, one weight of the largest network, got '1e-80'/,
  ],
  [
    'more densities than layers',
    ['train', '--data', 'mnist', '--network', 'fc:784-10-10', '--out', 'x.smk', '--density', '.1,.2,.3'],
    /--density has 3 fractions, expected at most 2/,
  ],
  [
    'bad method',
    ['train', '--data', 'mnist', '--out', 'x.smk', '--method', 'bernouli'],
    /did you mean bernoulli\? expected one of topk, bernoulli, threshold\./,
  ],
  [
    'density where there is none',
    ['train', '--data', 'mnist', '--out', 'x.smk', '--method', 'bernoulli', '--density', '0.1'],
    /--density goes with --method topk/,
  ],
  ['bad penalty', ['train', '--data', 'mnist', '--out', 'x.smk', '--method', 'bernoulli', '--penalty', '-1'], /at least 0, got '-1'/],
  [
    'a seed of a variable that is not set',
    ['train', '--data', 'mnist', '--out', 'x.smk', '--seed', ''],
    /a whole number .*any text, got ''/,
  ],
  ['blank pixels', ['train', '--data', 'mnist', '--out', 'x.smk', '--permute-pixels', ' '], /a whole number .*any text, got ' '/],
  ['blank classes', ['transfer', good, 'mnist', '--permute-labels', ''], /a whole number .*any text, got ''/],
  ['no penalty', ['train', '--data', 'mnist', '--out', 'x.smk', '--method', 'bernoulli', '--penalty', ''], /at least 0, got ''/],
  [
    'penalty where there is none',
    ['train', '--data', 'mnist', '--out', 'x.smk', '--penalty', '1'],
    /--penalty goes with --method bernoulli/,
  ],
  ['rescaling where there is none', ['train', '--data', 'mnist', '--out', 'x.smk', '--rescale'], /--rescale goes with --method bernoulli/],
  ...[['--target-bytes', '2000'], ['--target-accuracy', '0.9'], ['--rate', '1e-6'], ['--squeeze']].map(
    (words): [string, string[], RegExp] => [
      `${words[0]} with bernoulli masks`,
      ['train', '--data', 'mnist', '--out', 'x.smk', '--method', 'bernoulli', ...words],
      new RegExp(`${words[0]} goes with --method topk`),
    ],
  ),
  [
    'two targets',
    ['train', '--data', 'mnist', '--out', 'x.smk', '--target-bytes', '2000', '--target-accuracy', '0.9'],
    /'--target-accuracy <a>' cannot be used with option '--target-bytes <n>'/,
  ],
  ['no bytes', ['train', '--data', 'mnist', '--out', 'x.smk', '--target-bytes', '0'], /positive whole number, got '0'/],
  ['too accurate', ['train', '--data', 'mnist', '--out', 'x.smk', '--target-accuracy', '98'], /fraction above 0 and at most 1, got '98'/],
  [
    'trials of nothing',
    ['train', '--data', 'mnist', '--out', 'x.smk', '--trials', '3'],
    /--trials goes with --target-bytes or --target-accuracy/,
  ],
  ['threads of an engine that has none', [...train, '--engine', 'reference', '--threads', '4'], /--threads goes with --engine wasm/],
  ['a density of a threshold', [...train, '--method', 'threshold', '--density', '.1'], /topk: threshold masks find their own density/],
  ['a threshold rescaled', [...train, '--method', 'threshold', '--rescale'], /--rescale goes with --method bernoulli/],
  ['permuted pixels moved', [...train, '--permute-pixels', '1', '--rotate', '9'], /--rotate must be 0 with --permute-pixels/],
  [
    'permuted columns',
    ['train', '--data', 'own.csv', ...tiny, '--permute-pixels', '1', '--out', 'x.smk'],
    /--permute-pixels must be left away: the rows of own.csv are numbers, found by the names of their columns, got 1/,
  ],
  ['a criterion of a mask', [...mask, '--criterion', 'large_final'], /--criterion goes with --initial and --final/],
  ['a fraction of a mask', [...mask, '--keep', '0.2'], /--keep goes with --initial and --final/],
  ['sigma of given weights', [...weights, '--sigma', 'he'], /--sigma goes with --mask/],
  ['a distribution of given weights', [...weights, '--distribution', 'normal'], /--distribution goes with --mask/],
  ['a layout of Keras layers', [...keras, '--layout', 'torch'], /--layout goes with a file that leaves it open, which no .json does/],
  ['tensors of a graph', [...graph, '--tensors', 'a,b'], /--tensors goes with a file without a graph/],
  ['a column of no data', [...mask, '--label', 'a'], /--label goes with --data/],
  ['threads for nothing', [...weights, '--threads', '3'], /--threads goes with --data/],
  [
    'weights of other numbers',
    [...weights, '--layout', 'seedmask', '--data', 'own.csv'],
    /--data must be images, as no file tells how numbers were scaled for these weights, got numbers. Leave it away/,
  ],
  ['plain http to nobody', ['serve', '--allow-http'], /--allow-http goes with the URL of a server/],
  ['tasks of a figure', ['experiment', 'figure-07', '--tasks', '50', '--out', 'x'], /--tasks goes with an experiment of tasks/],
  ['half a pixel', ['train', '--data', 'mnist', '--out', 'x.smk', '--shift', '0.5'], /whole number of at least 0, got '0.5'/],
  ['a negative worth', ['train', '--data', 'mnist', '--out', 'x.smk', '--rate', '-1'], /at least 0, got '-1'/],
  ['bad epochs', ['train', '--data', 'mnist', '--out', 'x.smk', '--epochs', '0'], /positive whole number, got '0'/],
  ['bad network', ['train', '--data', 'mnist', '--out', 'x.smk', '--network', 'resnet'], /conv2, conv4, conv6, fc, lenet5, .*got 'resnet'/],
  [
    'a kernel larger than what a pool left',
    ['train', '--data', 'mnist', '--out', 'x.smk', '--network', '28x28x1:pool-pool-pool-conv8k5v-10'],
    /layer 4: a 5x5 kernel without padding needs at least 5x5 pixels, got 3x3/,
  ],
  [
    'more weights than a file holds',
    ['train', '--data', 'none', '--out', 'x.smk', '--network', 'fc:784-100000000000-10'],
    /weights of a mask is 79400000000000, the limit is 268435456/,
  ],
  [
    'a layer that is none',
    ['train', '--data', 'mnist', '--out', 'x.smk', '--network', '28x28x1:conv8-pol-10'],
    /layer 2: expected pool, a number of units, conv16, conv16k5 or conv16k5v, got 'pol'/,
  ],
  [
    'padding of no kind',
    [
      'train',
      '--data',
      'mnist',
      '--out',
      'x.smk',
      '--network',
      path('full.json', '{"input":[4,4,1],"layers":[{"kind":"conv","filters":2,"activation":"relu","padding":"full"}]}'),
    ],
    /full.json: .*padding/,
  ],
  ['bad threads', ['train', '--data', 'mnist', '--out', 'x.smk', '--threads', '65'], /1 to 64 threads, got 65/],
  ['bad threads of an experiment', ['experiment', 'figure-07', '--threads', '1e10', '--out', 'x'], /1 to 64 threads, got 10000000000/],
  ['bad threads of a worker', ['worker', '--queue', 'redis://127.0.0.1:1', '--threads', '1e10'], /1 to 64 threads, got 10000000000/],
  ['bad port', ['serve', 'good.smk', '--port', '70000'], /port from 0 .* to 65535, got '70000'/],
  ['a part of a MiB', ['serve', 'good.smk', '--body-limit', '1.5'], /a whole number of MiB from 1 to 1024, got '1.5'/],
  ['missing file', ['inspect', 'nothing.smk'], /cannot read nothing.smk: there is no such file/],
  ['a name of two lines', ['inspect', 'no\nthing\u001b[31m.smk'], /cannot read no thing \[31m.smk: there is no such file/],
  ['a folder', ['inspect', '.'], /cannot read \.: it is a folder/],
  ['wrong magic', ['inspect', path('text.smk', 'hello, this is no model')], /not a Seedmask model file: begins with 68656c6c6f2c/],
  ['empty file', ['inspect', path('empty.smk', '')], /model file/],
  ['truncated file', ['inspect', path('short.smk', bytes.subarray(0, 40))], /cut short/],
  ['bit-flipped file', ['inspect', path('flipped.smk', flipped)], /damaged: its CRC32C/],
  [
    'a mistyped task beyond the first',
    ['eval', 'many.smk', '--data', 'mnist', '--task', 'tsk-25'],
    /one of task-10, .*, got tsk-25. Did you mean task-25\?/,
  ],
  ['several tasks', ['eval', 'archive.smk', '--data', 'mnist'], /several tasks: a, b/],
  ['unknown task', ['eval', 'archive.smk', '--data', 'mnist', '--task', 'c'], /one of a, b, got c/],
  ['no data folder', ['eval', good, '--data', 'nowhere'], /no such file or folder/],
  ['data without labels', ['eval', good, '--data', 'no-labels'], /no train-labels-idx1-ubyte/],
  [
    'unwritable output',
    ['train', '--data', 'mnist', '--out', 'no/such/folder/x.smk'],
    /cannot write no\/such\/folder\/x.smk: there is no folder no\/such\/folder\n$/,
  ],
  ['output is a folder', ['train', '--data', 'mnist', '--out', 'no-labels'], /cannot write no-labels: it is a folder/],
  ['an empty folder to serve', ['serve', 'empty'], /at least one .smk file, or a file with a task, got none/],
  ['a link to itself', ['eval', good, '--data', 'circle'], /cannot read circle: its links lead in a circle/],
  ['a name that is too long', ['eval', good, '--data', 'x'.repeat(300)], /cannot read x+\.\.\.: the name is too long/],
  ['a page that is a link to itself', ['serve', good, '--web', 'circle'], /cannot read circle.index.html: its links lead in a circle/],
  [
    'models as a page',
    ['serve', '--web', 'empty'],
    /cannot read empty.index.html: a page needs this file. To serve the models of a folder: seedmask serve FOLDER --web/,
  ],
  ['an output that is a link to itself', ['extract', good, '--out', 'circle'], /cannot read circle: its links lead in a circle/],
  ['an export below a file', ['export', good, '--to', 'tfjs', '--out', good], /^seedmask: cannot write good.smk/],
  ['a device as a file', ['inspect', '/dev/zero'], /no regular file/],
  ['no command', [], /which command\?/],
  [
    'unknown layer kind',
    ['train', '--data', 'mnist', '--out', 'x.smk', '--network', path('lstm.json', '{"input":[1,1,4],"layers":[{"kind":"lstm"}]}')],
    /lstm.json: .*kind/,
  ],
  [
    'input of two numbers',
    ['train', '--data', 'mnist', '--out', 'x.smk', '--network', path('two.json', '{"input":[28,28],"layers":[]}')],
    /two.json: /,
  ],
  ['output is a device', ['train', '--data', 'mnist', '--out', '/dev/null'], /cannot write \/dev\/null: it is no regular file/],
  ['output without a name', ['train', '--data', 'mnist', '--out', ''], /an empty name/],
  ['demo into a file', ['demo', '--port', '0', '--out', 'good.smk'], /cannot write good.smk: it is a file/],
  ['nothing to serve', ['serve', 'nothing.smk'], /nothing.smk/],
  [
    'mistyped criterion',
    [...prune, '--criterion', 'large_fnal'],
    /argument 'large_fnal' is invalid\. did you mean large_final\? expected one of random, [^']*$/,
  ],
  ['a criterion like none', [...prune, '--criterion', 'zzzqqq'], /^seedmask: [^?]*'zzzqqq' is invalid\. expected one of random, [^']*$/],
  ['no criterion', [...prune, '--criterion', ''], /^seedmask: [^?]*'' is invalid\. expected one of random, [^']*$/],
  ['mistyped mask-0 action', [...prune, '--rounds', '2', '--mask0', 'towards_zero'], /did you mean toward_zero\? .*toward_zero_reversed/],
  ['mistyped mask-1 action', [...prune, '--rounds', '2', '--mask1', 'SignedReinit'], /did you mean signed_reinit\? expected one of rewind/],
  ['mistyped weights', [...prune, '--weights', 'const'], /did you mean constant\?/],
  ['no rounds', [...prune, '--rounds', '0'], /positive whole number, got '0'/],
  [
    'too many rounds',
    [...prune, '--rounds', '52'],
    /--rounds must be at most 51, as a later round prunes nothing more of fc:784-300-100-10, got 52/,
  ],
  ['more rounds than a folder tells of', [...prune, '--rounds', '4096'], /expected 1 to 1000 rounds, got 4096/],
  ['rounds once', [...prune, '--rounds', '2', '--oneshot'], /'--oneshot' cannot be used with option '--rounds <n>'/],
  [
    'rounds that would prune nothing',
    [...prune, '--rounds', '1000', '--keep', '0.9999'],
    /--rounds must be fewer on the way to --keep 0.9999, as round \d+ would prune nothing, got 1000/,
  ],
  [
    'rounds to an empty layer',
    [...prune, '--rounds', '2', '--keep', '0.000001'],
    /--keep must be so large that every layer of fc:784-300-100-10 keeps a weight, got 0.000001/,
  ],
  [
    'more rounds than an empty layer takes',
    [...prune, '--rounds', '1000', '--keep', '1e-9'],
    /--keep must be so large that every layer of fc:784-300-100-10 keeps a weight, got 1e-9/,
  ],
  ...['1', '1000'].map((rounds): [string, string[], RegExp] => [
    `${rounds} rounds that keep all`,
    [...prune, '--rounds', rounds, '--keep', '1'],
    /--keep must be smaller, as it prunes nothing of fc:784-300-100-10, got 1\b/,
  ]),
  ['rounds to more than all', [...prune, '--rounds', '2', '--keep', '1.5'], /fraction above 0 and at most 1, got '1.5'/],
  ...[prune, [...prune, '--rounds', '2'], train].flatMap((words): [string, string[], RegExp][] => [
    [`no learning rate: ${words}`, [...words, '--learning-rate', '0'], /expected a number above 0, got '0'/],
    [`an endless learning rate: ${words}`, [...words, '--learning-rate', '1e999'], /expected a number above 0, got '1e999'/],
    [`no batch: ${words}`, [...words, '--batch', '0'], /positive whole number, got '0'/],
    [`more than all rows: ${words}`, [...words, '--batch', '55001'], /55000 training rows are fewer than a batch of 55001/],
  ]),
  ['mistyped weights of a mask', [...train, '--weights', 'int'], /did you mean init\? expected one of init, constant\./],
  ['rounds untrained', [...prune, '--rounds', '2', '--weights', 'constant'], /'--weights <kind>' cannot be used with/],
  ['an action without rounds', [...prune, '--mask1', 'reinit'], /--mask1 goes with --rounds/],
  [
    'actions at odds',
    [...prune, '--rounds', '2', '--mask0', 'toward_zero_all', '--mask1', 'reinit'],
    /goes with mask-1 rewind only, not reinit/,
  ],
  ['rounds on another input', [...prune, '--rounds', '2', '--network', 'conv2'], /images of 32 x 32 x 3, .* got 28 x 28 x 1 in mnist/],
  ['a ticket of another input', [...prune, '--network', 'conv2'], /images of 32 x 32 x 3, .* got 28 x 28 x 1 in mnist/],
  [
    'train on another input',
    ['train', '--data', 'mnist', '--network', 'conv2', '--out', 'x.smk'],
    /images of 32 x 32 x 3, as 32x32x3:conv64-\S+ takes, got 28 x 28 x 1 in mnist. Take other data/,
  ],
  [
    'dense on another input',
    ['train', '--data', 'mnist', '--network', 'fc:99-10', '--out', 'x.smk'],
    /images of 99 values, .* got 784 values/,
  ],
  [
    'a file called as a data set is no input',
    ['train', '--data', 'mnist', '--network', 'fc:784-9', '--out', 'mnist'],
    /labels below 9, .* got 9 in mnist/,
  ],
  ['too few outputs', ['train', '--data', 'mnist', '--network', 'fc:784-9', '--out', 'x.smk'], /labels below 9, .* got 9 in mnist/],
  ['rounds into a file', ['prune', '--data', 'mnist', '--rounds', '2', '--out', 'good.smk'], /cannot write good.smk: it is a file/],
  ['an experiment like none', ['experiment', 'fgure-99-q', '--out', 'x'], /^seedmask: [^?]*expected one of figure-01, [^']*$/],
  [
    'mistyped experiment',
    ['experiment', 'figure-7', '--out', 'x'],
    /value 'figure-7' is invalid for argument 'name'\. did you mean figure-07\? expected one of figure-01, [^']*$/,
  ],
  ['results nowhere', ['experiment', 'figure-07'], /--out <folder>/],
  ['results into a file', ['experiment', 'figure-07', '--quick', '--out', 'good.smk'], /cannot write good.smk: it is a file/],
  [
    'results into a folder whose cells are a file',
    ['experiment', 'figure-07', '--quick', '--out', 'file-as-cells'],
    /cannot write file-as-cells\/cells: it is a file/,
  ],
  [
    'results below /proc',
    ['experiment', 'figure-07', '--quick', '--out', '/proc/x'],
    /cannot write \/proc\/x: \/proc takes nothing of that name\n$/,
  ],
  [
    'rounds below /proc',
    ['prune', '--data', 'mnist', '--rounds', '2', '--out', '/proc/x/y'],
    /cannot write \/proc\/x: \/proc takes nothing of that name\n$/,
  ],
  ['a file in /proc', ['prune', '--data', 'mnist', '--out', '/proc/x'], /cannot write \/proc\/x: \/proc takes nothing of that name\n$/],
  [
    'rounds in /sys',
    ['prune', '--data', 'mnist', '--rounds', '2', '--out', '/sys/x'],
    /cannot write \/sys\/x: (the system does not permit it|permission denied|the file system is read-only)\n$/,
  ],
  ['too many seeds', ['experiment', 'figure-07', '--runs', '1e9', '--out', 'x'], /expected 1 to 9999 seeds, got 1000000000/],
  ['no seeds', ['experiment', 'figure-07', '--runs', '0', '--out', 'x'], /positive whole number, got '0'/],
  ['quick and full', ['experiment', 'figure-07', '--quick', '--full', '--out', 'x'], /'--quick' cannot be used with option '--full'/],
  [
    'nothing to draw',
    ['experiment', 'figure-07', '--draw', '--out', 'empty'],
    /empty must be a folder with results of figure-07 at the budget scale, got no finished cell that is asked for. Leave --draw away: a run/,
  ],
  [
    'results that are damaged',
    ['experiment', 'figure-05', '--quick', '--draw', '--out', 'damaged'],
    /plane-fc-.*\.json is damaged: .*Delete the file/,
  ],
  ['unknown data set', ['data', 'get', 'imagenet'], /must be mnist, cifar10, got imagenet/],
])('%s', (_, words, line) => {
  const before = readdirSync(folder);
  for (const extra of [[], ['--json']]) {
    const { status, stdout, stderr } = seedmask(...words, ...(words.length < 2 || words[0] === 'inspct' ? [] : extra));
    expect(stdout).toBe('');
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(line);
    expect(stderr).not.toMatch(/internal error/);
    expect(status).toBe(1);
  }
  expect(readdirSync(folder)).toEqual(before);
});

// 11 rows of two numbers, and weights and masks of other programs.
path('own.csv', `a,b,label\n${Array.from({ length: 11 }, (_, i) => `${i},${-i},${i % 2}`).join('\n')}\n`);
mkdirSync(join(folder, 'own'));
path('own/train.csv', readFileSync(join(folder, 'own.csv'), 'utf8'));
path('own.json', '{"input":[1,1,2],"layers":[{"kind":"dense","units":2,"activation":"linear"}]}');
path('masks.npz', writeNpz([['mask', { shape: [2, 2], values: Uint8Array.of(0, 1, 1, 1) }]]));
path('weights.safetensors', writeSafetensors([['layers.0.weight', { shape: [2, 2], values: Float32Array.of(1, 2, 3, 4) }]]));
path('mnist', 'the name of a data set');
path('alone.smk', writeModel({ ...one, tasks: [] }));
path('mask.smk', writeModel(one, { maskOnly: true }));

test.each<[input: string, words: string[]]>([
  ['good.smk', ['export', 'good.smk', '--to', 'c']],
  ['alone.smk', ['export', 'mask.smk', '--to', 'c', '--network', 'alone.smk']],
  ['own.csv', ['train', '--data', 'own.csv', ...tiny, '--epochs', '1']],
  ['own.json', ['train', '--data', 'own.csv', ...tiny, '--epochs', '1']],
  ['own.csv', ['prune', '--data', './own.csv', ...tiny, '--epochs', '1']],
  ['masks.npz', ['import', '--mask', 'masks.npz', ...tiny]],
  ['own.csv', ['import', '--mask', 'masks.npz', ...tiny, '--data', 'own.csv']],
  ['own/train.csv', ['train', '--data', 'own', ...tiny, '--epochs', '1']],
  ['own/train.csv', ['prune', '--data', 'own', ...tiny, '--epochs', '1']],
  ['own/train.csv', ['import', '--mask', 'masks.npz', ...tiny, '--data', 'own']],
  ['own/train.csv', ['transfer', 'good.smk', 'own']],
  ['weights.safetensors', [...weights, '--criterion', 'large_final']],
  ['own.csv', ['transfer', 'good.smk', 'own.csv']],
  ['good.smk', ['transfer', 'good.smk', 'mnist']],
  ['alone.smk', ['extract', 'mask.smk', '--network', 'alone.smk']],
])('%s as its own output: %j is one line, and the file stays', (input, words) => {
  const before = readFileSync(join(folder, input));
  const { status, stdout, stderr } = seedmask(...words, '--out', `./${input}`);
  const hint = words[0] === 'transfer' && input === 'good.smk' ? '; --id NAME adds the new task to the known ones' : '';
  expect([status, stdout, stderr]).toEqual([1, '', `seedmask: cannot write ./${input}: it is an input. Give --out another name${hint}\n`]);
  expect(readFileSync(join(folder, input))).toEqual(before);
});

test('help says which images are not moved, and speaks of methods where there are any', () => {
  const help = (command: string) => seedmask(command, '--help').stdout.replace(/\s+/g, ' ');
  expect(help('train')).toContain('(default: 1; 0 of permuted pixels, of other methods than topk and of rows that are no images)');
  expect(help('transfer')).toContain('(default: 1; 0 of permuted pixels and of rows that are no images)');
});

test('a port in use', async () => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  const { port } = holder.address() as { port: number };
  const { status, stdout, stderr } = seedmask('serve', good, '--port', String(port));
  holder.close();
  expect([status, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(new RegExp(`^seedmask: cannot listen on .*${port}.*\n$`));
});

test('the list of commands is the same whatever is asked beside it, and has a sentence for each', () => {
  const list = seedmask('--help').stdout;
  expect([seedmask('help').stdout, seedmask('--help', 'train').stdout]).toEqual([list, list]);
  const commands = [...list.matchAll(/^ {2}([a-z]+) {2,}(.+)/gm)].map(([, name]) => name);
  expect(commands).toEqual(expect.arrayContaining(['train', 'inspect', 'data', 'demo']));
  expect(commands).toHaveLength(19);
  expect(seedmask('inspect', '--help').stdout).toMatch(/^Usage: seedmask inspect \[options\] <file>\n\nshow what a model file holds\n/);
  for (const [words, usage] of [
    [['help', 'data', 'get'], 'seedmask data get [options] <name>'],
    [['help', 'data'], 'seedmask data [options] [command]'],
    [['help', 'export', '--task'], 'seedmask export [options] <model>'],
  ] as const) {
    const { status, stdout } = seedmask(...words);
    expect([status, stdout.split('\n')[0]]).toEqual([0, `Usage: ${usage}`]);
  }
}, 30_000);

test.each([
  [[], 'which command? See seedmask --help'],
  [['help', 'trian'], "unknown command 'trian' (Did you mean train?) (see seedmask --help)"],
  [['trian', '--help'], "unknown command 'trian' (Did you mean train?) (see seedmask --help)"],
  [['data', 'gett', '--help'], "unknown command 'gett' (Did you mean get?) (see seedmask data --help)"],
  [['help', 'data', 'gett'], "unknown command 'gett' (Did you mean get?) (see seedmask data --help)"],
  [['data'], 'which command? See seedmask data --help'],
  [['inspekt', 'train'], "unknown command 'inspekt' (Did you mean inspect?) (see seedmask --help)"],
  [['--json', 'inspect', 'x'], "unknown option '--json' (see seedmask --help)"],
  [['inspect'], "missing required argument 'file' (see seedmask inspect --help)"],
  [['inspect', '--jsn', 'x'], "unknown option '--jsn' (Did you mean --json?) (see seedmask inspect --help)"],
  [['keys', 'ad'], "unknown command 'ad' (Did you mean add?) (see seedmask keys --help)"],
  [['data', 'get'], "missing required argument 'name' (see seedmask data get --help)"],
  [['inspect', 'train'], 'cannot read train: there is no such file or folder'],
])('%j names the help that tells more', (words, line) => {
  const { status, stdout, stderr } = seedmask(...words);
  expect([status, stdout, stderr]).toEqual([1, '', `seedmask: ${line}\n`]);
});

test('inspect --json is one object with the documented keys', () => {
  const { status, stdout } = seedmask('inspect', '--json', good);
  expect(status).toBe(0);
  const info = JSON.parse(stdout);
  expect(info).toMatchObject({ fileBytes: bytes.length, float32Bytes: 1064800, network: 'fc:784-300-100-10', weights: 266200 });
  expect(info.tasks[0]).toMatchObject({ id: '', kept: 266200, density: 1, entropyBytes: 0 });
  expect(info.headerBytes + info.tasks[0].payloadBytes).toBe(bytes.length);
});

test('eval --json counts every test image; every command has help with an example', () => {
  const result = JSON.parse(seedmask('eval', '--json', good, '--data', 'mnist').stdout);
  expect(result).toMatchObject({ task: '', samples: 10000 });
  expect(result.logitsSha256).toMatch(/^[0-9a-f]{64}$/);
  for (const command of ['train', 'transfer', 'prune', 'eval', 'inspect', 'serve', 'experiment', 'worker', 'demo']) {
    const { status, stdout } = seedmask(command, '--help');
    expect(status).toBe(0);
    expect(stdout).toMatch(/Examples:\n +seedmask /);
  }
}, 60_000);

test('train writes a model that eval agrees with, and the same bytes with one thread and two', () => {
  const run = (threads: string) => {
    const words = ['train', '--data', 'mnist', '--network', 'fc:784-16-10', '--density', '0.1,0.5', '--epochs', '1', '--json'];
    return JSON.parse(seedmask(...words, '--threads', threads, '--out', `t${threads}.smk`).stdout);
  };
  const [a, b] = [run('1'), run('2')];
  const hash = (name: string) => JSON.parse(seedmask('inspect', '--json', name).stdout).contentId;
  expect(spawnSync('cmp', ['t1.smk', 't2.smk'], { cwd: folder }).status).toBe(0);
  expect(hash('t1.smk')).toBe(hash('t2.smk'));
  expect(a.testAccuracy).toBe(b.testAccuracy);
  expect(a.testAccuracy).toBeGreaterThan(0.7);
  expect(JSON.parse(seedmask('eval', '--json', 't1.smk', '--data', 'mnist').stdout).testAccuracy).toBe(a.testAccuracy);
}, 60_000);

test('train takes a network as inspect prints it', () => {
  const network = '28x28x1:pool-conv4k4v-conv3-pool-8-10';
  const words = ['train', '--data', 'mnist', '--network', network, '--epochs', '1', '--threads', '1', '--json', '--out', 'spelled.smk'];
  expect(JSON.parse(seedmask(...words).stdout)).toMatchObject({ network, weights: 64 + 108 + 600 + 80 });
  const inspected = JSON.parse(seedmask('inspect', '--json', 'spelled.smk').stdout);
  expect(inspected.network).toBe(network);
}, 60_000);

test('serve answers and ends with exit 0 on SIGTERM', async () => {
  const child = spawn(process.execPath, [MAIN, 'serve', good, '--port', '0', '--json'], { cwd: folder });
  const { url, tasks } = await new Promise<{ url: string; tasks: string[] }>((resolve) => {
    child.stdout.once('data', (text: Buffer) => resolve(JSON.parse(text.toString())));
  });
  expect(tasks).toEqual(['good']);
  const response = await fetch(`${url}/tasks/good/classify`, { method: 'POST', body: new Uint8Array(784) });
  expect(response.status).toBe(200);
  const closed = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGTERM');
  expect(await closed).toBe(0);
});

test('a worker without a cache to write in works all the same: here it does not reach Redis', () => {
  const env = { ...process.env, XDG_CACHE_HOME: '/proc/nowhere' };
  const { status, stderr } = spawnSync(process.execPath, [MAIN, 'worker', '--queue', 'redis://127.0.0.1:1'], { encoding: 'utf8', env });
  expect([status, stderr]).toEqual([1, expect.stringMatching(/^seedmask: cannot work on the queue at redis:\/\/127\.0\.0\.1:1/)]);
});

test.each([
  ['stdout', ['inspect', good]],
  ['stderr', ['inspect', 'nowhere.smk']],
] as const)('whoever closes %s ends a command as SIGPIPE does: 128 + 13, nothing to the other stream', async (closed, words) => {
  const child = spawn(process.execPath, [MAIN, ...words], { cwd: folder });
  child[closed].destroy();
  let said = '';
  child[closed === 'stdout' ? 'stderr' : 'stdout'].on('data', (text) => {
    said += text;
  });
  const [code] = await once(child, 'close');
  expect([code, said]).toEqual([141, '']);
});

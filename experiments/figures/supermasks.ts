// The paper's table of supermasks: the best a criterion gives (level chosen on validation rows, test rows reported), learned masks with
// and without rescaling (the mean of ten drawn masks, as the paper reports, and the one definite mask that a model file holds), our topk
// masks, and trained weights. One column a network. A control has conv2 with the paper's rows and epochs.

import { CRITERIA } from '../../src/masks/criteria.js';
import type { Weights } from '../../src/recipes.js';
import { type Cell, CONVOLUTIONAL, type LearnedCell, type NetworkName, type Row } from '../cells/cell.js';
import {
  CONV_POWERS,
  curveCells,
  curvesShortened,
  curveText,
  lastAge,
  learnedCells,
  learnedShortened,
  type Plan,
  topkText,
  trainedShortened,
} from '../cells/grids.js';
import { extentOf, shortened } from '../cells/scale.js';
import { seedsText } from '../evidence/chart.js';
import { inBands, shown } from '../evidence/claims.js';
import type { Claim, Experiment, Picture, Table } from '../evidence/experiment.js';
import { bestOfSeeds, has, percents, where } from '../evidence/rows.js';
import { summary } from '../statistics.js';
import { WEIGHTS_LABEL } from './figure-10.js';

const NETWORKS: readonly NetworkName[] = ['fc', ...CONVOLUTIONAL];

interface Line {
  readonly label: string;
  /** Test accuracies in per cent, one a seed. */
  readonly values: number[];
  /** The paper's number, if it has one. */
  readonly paper?: number;
  /** Per cent of the weights kept, one a seed. */
  readonly kept?: number[];
  /** Of the best criterion: which ones they were. */
  readonly names?: string;
}

type Numbers = Record<NetworkName, number>;
const numbersOf = (fc: number, conv2: number, conv4: number, conv6: number): Numbers => ({ fc, conv2, conv4, conv6 });

/** The paper's table. */
const PAPER = {
  criterion: { init: numbersOf(79.3, 22.3, 23.7, 24.0), constant: numbersOf(86.3, 37.4, 39.7, 41.0) },
  learned: { init: numbersOf(95.3, 64.4, 65.4, 65.3), constant: numbersOf(96.4, 66.3, 66.2, 65.4) },
  rescaled: { init: numbersOf(97.8, 65.0, 71.7, 76.3), constant: numbersOf(98.0, 66.0, 72.5, 76.5) },
  trained: numbersOf(97.7, 69.2, 75.4, 78.3),
};

const bernoulli = (rows: readonly Row[], weights: Weights, rescale: boolean): Row[] =>
  where(rows, { method: 'bernoulli', weights, rescale: rescale ? 'yes' : 'no' });

/** The table's lines of one network; those without rows have no values. */
function linesOf(all: readonly Row[], network: NetworkName): Line[] {
  const rows = where(all, { network });
  const both = <T>(of: (weights: Weights) => T[]): T[] => [...of('init'), ...of('constant')];
  const kept = (of: readonly Row[]) => of.map((row) => 100 * Number(row['kept']));
  const criteria = (weights: Weights): Line[] => {
    const masks = where(rows, { weights }).filter((row) => CRITERIA.some((name) => name === row['criterion']));
    const same = bestOfSeeds(where(masks, { criterion: 'large_final_same_sign' }));
    const best = bestOfSeeds(masks);
    const names = [...new Set(best.map((row) => row['criterion']))].join(', ');
    return [
      {
        label: `large_final_same_sign, ${WEIGHTS_LABEL[weights]}`,
        values: percents(same),
        paper: PAPER.criterion[weights][network],
        kept: kept(same),
      },
      { label: `best criterion, ${WEIGHTS_LABEL[weights]}`, values: percents(best), kept: kept(best), names },
    ];
  };
  const learned = (weights: Weights): Line[] =>
    [false, true].flatMap((rescale) => {
      const own = bernoulli(rows, weights, rescale);
      const label = `learned${rescale ? ' + rescaling' : ''}, ${WEIGHTS_LABEL[weights]}`;
      return [
        {
          label: `${label}: mean of 10 drawn`,
          values: percents(own, 'drawnTestAccuracy'),
          paper: PAPER[rescale ? 'rescaled' : 'learned'][weights][network],
        },
        { label: `${label}: definite mask`, values: percents(own), kept: kept(own) },
      ];
    });
  const topk = where(rows, { method: 'topk' });
  return [
    ...both(criteria),
    ...both(learned),
    { label: 'topk, signed constants (ours)', values: percents(topk), kept: kept(topk) },
    { label: 'trained weights', values: percents(where(rows, { weights: 'trained' })), paper: PAPER.trained[network] },
  ];
}

/** What was spent on each kind of mask that the rows have. */
function budgetText(rows: readonly Row[], scale: Plan['scale'], network: NetworkName): string {
  const own = where(rows, { network });
  const [bernoulli, topk] = ['bernoulli', 'topk'].map((method) => epochsOf(own, method));
  const powers = [...new Set(own.map((row) => Number(row['power'] ?? 0)))].filter((power) => power > 0);
  return [
    ...(powers.length > 0 ? [curvesShortened(scale, network, { powers }) ?? curveText(scale, network, { powers })] : []),
    ...(bernoulli ? [learnedShortened(scale, network, bernoulli)] : []),
    ...(topk ? [topkText(scale, network, topk)] : []),
  ].join('; ');
}

/** Epochs that masks were learned for, or undefined where there are none. */
function epochsOf(rows: readonly Row[], method: string): number | undefined {
  const row = rows.find((row) => row['method'] === method);
  return row && Number(row['epochs']);
}

const present = (rows: readonly Row[]): NetworkName[] => NETWORKS.filter((network) => where(rows, { network }).length > 0);

/** "79.1 (76.4 to 80.2, 5 seeds), 32 % kept" */
function cellOf({ values, kept = [], names }: Line): string {
  if (values.length === 0) return 'not run';
  const level = kept.length > 0 ? `, ${summary(kept).mean.toPrecision(2)} % kept` : '';
  return `${shown(values)}${level}${names ? `, ${names}` : ''}`;
}

function tables(rows: readonly Row[], { scale }: Plan): Table[] {
  const networks = present(rows);
  const columns = networks.map((network) => linesOf(rows, network));
  const texts = networks.map((network) => budgetText(rows, scale, network));
  return [
    {
      title: 'Supermasks, learned masks and trained weights',
      caption: `Test accuracy, %: mean and range over the seeds; criteria and their levels are chosen on validation rows. ${texts.join('; ')}.`,
      head: ['', ...networks.flatMap((network) => [`${network}${shortened(scale, network) ? ', shortened' : ''}`, 'the paper'])],
      rows: columns[0].map(({ label }, i) => [label, ...columns.flatMap((lines) => [cellOf(lines[i]), lines[i].paper?.toFixed(1) ?? ''])]),
    },
  ];
}

/** Bars of each network that has rows, by the name of their drawing. */
const pictures = (rows: readonly Row[], plan: Plan, names: Partial<Record<NetworkName, string>>, on = ''): Picture[] =>
  present(rows)
    .filter((network) => network in names)
    .map((network) => ({
      network,
      bars: linesOf(rows, network)
        .filter(({ values }) => values.length > 0)
        .map(({ label, values, paper }) => ({ label, paper, ...summary(values) })),
    }))
    .map(({ network, bars }) => ({
      name: names[network] ?? '',
      title: `Supermasks, learned masks and trained weights: ${network}${on}`,
      caption: `${budgetText(rows, plan.scale, network)}; test accuracy; ${seedsText(bars)}; red: the paper.`,
      chart: { kind: 'bars', bars },
    }));

/** Claims A6 to A10 and A22 about fc, or A11 to A13 about the convolutional networks. */
function fcClaims(rows: readonly Row[], plan: Plan): Claim[] {
  const own = where(rows, { network: 'fc' });
  const topk = where(own, { method: 'topk' });
  const learned = (text: string, weights: Weights, rescale: boolean, low: number, high: number) =>
    inBands(
      { plan, network: 'fc', shortened: learnedShortened(plan.scale, 'fc') },
      { text, paper: `${PAPER[rescale ? 'rescaled' : 'learned'][weights].fc} %` },
      [{ values: percents(bernoulli(own, weights, rescale), 'drawnTestAccuracy'), low, high }],
    );
  return [
    inBands(
      { plan, network: 'fc', shortened: curvesShortened(plan.scale, 'fc') },
      { text: 'A6: trained weights', paper: `${PAPER.trained.fc} %` },
      [{ values: percents(where(own, { weights: 'trained' })), low: 97.3, high: 98.4 }],
    ),
    learned('A7: learned masks, initial weights', 'init', false, 94.3, 96.5),
    learned('A8: learned masks, signed constants', 'constant', false, 95.4, 97.3),
    learned('A9: learned masks with rescaling, initial weights', 'init', true, 97.0, 98.3),
    learned('A10: learned masks with rescaling, signed constants', 'constant', true, 97.3, 98.4),
    inBands(
      { plan, network: 'fc', shortened: topkText(plan.scale, 'fc') },
      {
        text: 'A22: few weights are enough. Our topk masks (kept or not, signed constants) in place of signed supermasks (kept, turned round or not)',
        paper: 'Koster et al. 2022: 97.48 % at 3.77 % kept',
      },
      [
        { name: 'test accuracy', values: percents(topk), low: 96.8, high: 100 },
        { name: 'per cent kept', values: percents(topk, 'kept'), low: 0, high: 6 },
      ],
    ),
  ];
}

function conv6Claim(rows: readonly Row[], plan: Plan): Claim {
  const best = (weights: Weights) => percents(bestOfSeeds(where(rows, { network: 'conv6', weights, criterion: 'large_final_same_sign' })));
  return inBands(
    { plan, network: 'conv6', shortened: curvesShortened(plan.scale, 'conv6') },
    {
      text: 'A11: large_final_same_sign in conv6, signed constants and initial weights',
      paper: `${PAPER.criterion.constant.conv6} % and ${PAPER.criterion.init.conv6} %`,
      why: 'in conv2 more rows and epochs explain a part of such a gap (supermasks-control)',
    },
    [
      { name: WEIGHTS_LABEL.constant, values: best('constant'), low: 36, high: 45 },
      { name: WEIGHTS_LABEL.init, values: best('init'), low: 19, high: 29 },
    ],
  );
}

interface Why {
  readonly trained?: string;
  readonly learned?: string;
}

/** What is known of a gap that a shortened run leaves; of the larger networks there is no control. */
function whyShort({ scale }: Plan, network: NetworkName): Why {
  if (scale === 'full') return {};
  if (network !== 'conv2') return { trained: 'no longer training of it was run', learned: 'no longer training of it was run' };
  return {
    trained: "with the paper's rows and epochs it is nearer (supermasks-control)",
    learned: 'with all rows it is nearer, in as many epochs (supermasks-control)',
  };
}

/**
 * A12 and A13 of one network.
 * @param why what is known of a gap
 * @param title what they are of, where the network alone does not say it
 */
function convClaims(all: readonly Row[], plan: Plan, network: NetworkName, why: Why, title: string = network): Claim[] {
  const rows = where(all, { network });
  const around = (target: number, tolerance: number) => ({ low: target - tolerance, high: target + tolerance });
  const [trained, rescaled] = [PAPER.trained[network], PAPER.rescaled.constant[network]];
  return [
    inBands(
      { plan, network, shortened: trainedShortened(plan.scale, network) },
      { text: `A12: trained weights of ${title}`, paper: `${trained} %`, why: why.trained },
      [{ values: percents(where(rows, { weights: 'trained' })), ...around(trained, 1.5) }],
    ),
    inBands(
      { plan, network, shortened: learnedShortened(plan.scale, network, epochsOf(rows, 'bernoulli')) },
      { text: `A13: learned masks of ${title} with rescaling, signed constants`, paper: `${rescaled} %`, why: why.learned },
      [{ values: percents(bernoulli(rows, 'constant', true), 'drawnTestAccuracy'), ...around(rescaled, 2) }],
    ),
  ];
}

const cellsOf = (plan: Plan, networks: readonly NetworkName[]) =>
  networks.flatMap((network) => [...curveCells(plan, network), ...learnedCells(plan, network)]);

/** Untrained networks, masks and trained weights of the oldest age, and learned masks: of convolutional networks that is all there is. */
const select = (rows: readonly Row[], { scale }: Plan): Row[] =>
  rows.filter((row) => has(row, 'method') || row['age'] === 0 || row['age'] === lastAge(scale, row['network'] as NetworkName));

export const supermasks: Experiment = {
  name: 'supermasks',
  about: 'the table: best criterion, learned masks, learned with rescaling, topk, trained weights; fc',
  minutes: 60,
  cells: (plan) => cellsOf(plan, ['fc']),
  select,
  pictures: (rows, plan) => pictures(rows, plan, { fc: 'supermasks' }),
  tables,
  claims: fcClaims,
};

export const supermasksConv: Experiment = {
  name: 'supermasks-conv',
  about: 'the same table, conv2, conv4 and conv6 beside fc',
  minutes: 700,
  cells: (plan) => cellsOf(plan, CONVOLUTIONAL),
  also: (plan) => cellsOf(plan, ['fc']),
  select,
  pictures: (rows, plan) => pictures(rows, plan, { conv2: 'supermasks-conv2', conv4: 'supermasks-conv4', conv6: 'supermasks-conv6' }),
  tables,
  claims: (rows, plan) => [
    conv6Claim(rows, plan),
    ...CONVOLUTIONAL.flatMap((network) => convClaims(rows, plan, network, whyShort(plan, network))),
  ],
};

/** The paper's rows and epochs, one seed unless more are asked for. */
const whole = (plan: Plan): Plan => ({ ...plan, scale: plan.scale === 'quick' ? 'quick' : 'full', runs: () => plan.asked ?? 1 });
/**
 * What decides the claims first: trained weights, and learned masks of signed constants with rescaling. Learned masks see all rows as often
 * as those of `supermasks-conv` see theirs.
 */
function controlCells(plan: Plan): Cell[] {
  const curves = curveCells(whole(plan), 'conv2').map((cell) => ({ ...cell, powers: CONV_POWERS[plan.scale] }));
  const { rows, validation, test } = extentOf(whole(plan).scale, 'conv2');
  const learned = learnedCells({ ...plan, runs: whole(plan).runs }, 'conv2').map((cell) => ({ ...cell, rows, validation, test }));
  const turn = ({ rescale, weights }: LearnedCell) => (rescale ? 0 : 2) + (weights === 'constant' ? 0 : 1);
  return [...curves, ...learned.sort((a, b) => turn(a) - turn(b))];
}

export const supermasksControl: Experiment = {
  name: 'supermasks-control',
  about: "the same table, conv2 with the paper's rows and epochs",
  minutes: 150,
  cells: controlCells,
  select: (rows, plan) => select(rows, whole(plan)),
  pictures: (rows, plan) => pictures(rows, whole(plan), { conv2: 'supermasks-control' }, ' on all rows'),
  tables: (rows, plan) => tables(rows, whole(plan)),
  claims: (rows, plan) =>
    convClaims(
      rows,
      whole(plan),
      'conv2',
      plan.scale === 'full' ? {} : { learned: 'no longer training of it was run' },
      'conv2 on all rows',
    ),
};

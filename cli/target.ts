// Which densities give the best accuracy in so many bytes, or so much accuracy in the fewest? A search over training runs, each a
// trial: it chooses by the accuracy on validation rows and by the bytes of the whole file, and knows nothing of test rows.
//
//   densities   base x scale^e, e falling evenly from 1 at the first layer to 1/4 at the last: where few weights are, each matters
//   bytes       a mask's bytes are its order-0 entropy times a share that hardly depends on the density. A short run tells the share; the
//               scale that fits follows; the trials left weigh the first layer against the others at the same size
//   accuracy    a short run, then whole ones: the scale is halved until the accuracy is missed, or doubled until it is reached, and
//               then bisected

import { entropy, SeedmaskError } from '../codec/index.js';
import { counted } from './options.js';

/** What a trial gives. */
export interface Outcome {
  readonly valAccuracy: number;
  readonly fileBytes: number;
  /** Those beside the mask, where they are known: names of a table's columns may take more than its mask. */
  readonly headerBytes?: number;
}

export interface Trial<T extends Outcome> {
  readonly density: readonly number[];
  readonly epochs: number;
  readonly outcome: T;
}

/** At most so many bytes, or at least so much accuracy on validation rows. */
export type Goal = { readonly bytes: number } | { readonly accuracy: number };

export interface Search<T extends Outcome> {
  /** Weights of each layer. */
  readonly weights: readonly number[];
  readonly goal: Goal;
  /** Densities to start from. */
  readonly base: readonly number[];
  /** Of a whole run. */
  readonly epochs: number;
  /** The most runs, short ones included. */
  readonly trials: number;
  readonly run: (density: readonly number[], epochs: number) => Promise<T>;
  /** Whether a run's mask tells anything apart (default: all do): what does not reaches no goal, however small. */
  readonly useful?: (outcome: T) => boolean;
  readonly onTrial?: (trial: Trial<T>, reached: boolean) => void;
}

/** Beyond it, masks take fewer bytes again. */
const MOST_DENSITY = 0.5;
const LAST_EXPONENT = 0.25;
/** A short run has so many times fewer epochs. */
const SHORT = 4;
/** Bytes of a file beside its mask, until a run has told them, and the share of order 0 that a mask takes: the first guess of both. */
const HEADER = 60;
const SHARE = 0.65;
/** Which part of the bytes a trial aims at, as two runs of the same densities differ by a per cent. */
const AIM = 0.985;
/** A file of less than this part of the bytes has room for more weights. */
const NEAR = 0.93;
/** How much the other layers are weighed against the first, from one trial to the next. */
const WEIGHING = 1.4;
/** So many weighings may give densities that were tried before. */
const MOST_WEIGHINGS = 8;

/**
 * The best trial that reaches the goal: by accuracy and then by size where bytes are given, by size where accuracy is.
 * @throws SeedmaskError missed-target when none does, with what was reached
 */
export async function search<T extends Outcome>(settings: Search<T>): Promise<Trial<T>> {
  const { goal, epochs, run, useful = () => true, onTrial } = settings;
  const done: Trial<T>[] = [];
  const reaches = ({ outcome }: Trial<T>) =>
    useful(outcome) && ('bytes' in goal ? outcome.fileBytes <= goal.bytes : outcome.valAccuracy >= goal.accuracy);
  const next = 'bytes' in goal ? forBytes(settings, goal.bytes, done) : forAccuracy(settings, done, reaches);
  while (done.length < settings.trials) {
    const density = next();
    if (!density) break;
    const short = done.length === 0 && settings.trials > 1 ? Math.ceil(epochs / SHORT) : epochs;
    const trial = { density, epochs: short, outcome: await run(density, short) };
    done.push(trial);
    onTrial?.(trial, reaches(trial));
  }
  const smaller = (a: Trial<T>, b: Trial<T>) => a.outcome.fileBytes - b.outcome.fileBytes;
  const better = (a: Trial<T>, b: Trial<T>) => b.outcome.valAccuracy - a.outcome.valAccuracy || smaller(a, b);
  const [best] = done.filter(reaches).sort('bytes' in goal ? better : smaller);
  if (best) return best;
  const ofUse = done.filter((trial) => useful(trial.outcome));
  const { outcome, density } = (ofUse.length > 0 ? ofUse : [...done]).sort('bytes' in goal ? smaller : better)[0];
  const at = ofUse.length > 0 ? `, at --density ${list(density)}` : ', no better than chance';
  const above = ofUse.length > 0 && ofUse.length < done.length ? ' that beats chance' : '';
  const which = `${'bytes' in goal ? 'smallest' : 'best'} file${above} in ${counted(done.length, 'trial')}`;
  const got = `${which} has ${outcome.fileBytes} bytes, validation accuracy ${outcome.valAccuracy.toFixed(4)}${at}`;
  const [field, expected, hint] =
    'bytes' in goal
      ? [
          '--target-bytes',
          goal.bytes,
          ofUse.length > 0 ? 'Give more bytes or a smaller --network' : 'Give more bytes, more --epochs or another --network',
        ]
      : ['--target-accuracy', goal.accuracy, 'Give more --epochs or a larger --network'];
  throw new SeedmaskError('missed-target', { field, expected, got, hint });
}

/** Densities as `--density` takes them. */
export const list = (density: readonly number[]): string => density.map((d) => Number(d.toPrecision(4))).join(',');

/** Densities of a scale; those of all layers but the first are multiplied by `weighing` too. Rounded, as the search prints them. */
function scaled(base: readonly number[], scale: number, weighing = 1): number[] {
  return base.map((density, i) => {
    const exponent = base.length > 1 ? 1 - ((1 - LAST_EXPONENT) * i) / (base.length - 1) : 1;
    const most = Math.max(MOST_DENSITY, density);
    return Number(Math.min(most, density * scale ** exponent * (i > 0 ? weighing : 1)).toPrecision(4));
  });
}

type Next = () => number[] | null;

function forBytes<T extends Outcome>(
  { weights, base, epochs, useful = () => true }: Search<T>,
  bytes: number,
  done: readonly Trial<T>[],
): Next {
  const order0 = (density: readonly number[]) =>
    weights.reduce((sum, n, i) => sum + entropy({ weights: n, kept: Math.max(1, Math.round(n * Math.min(MOST_DENSITY, density[i]))) }), 0) /
    8;
  const header = () => done.at(-1)?.outcome.headerBytes ?? HEADER;
  /** The densities of the largest scale whose file is expected to fit. */
  const fitting = (share: number, weighing: number): number[] => {
    let [low, high] = [-20, 6];
    for (let i = 0; i < 40; i++) {
      const middle = (low + high) / 2;
      const density = scaled(base, 2 ** middle, weighing);
      const grows = density.some((one) => one < MOST_DENSITY);
      if (grows && header() + share * order0(density) <= AIM * bytes) low = middle;
      else high = middle;
    }
    return scaled(base, 2 ** low, weighing);
  };
  /** The first run of the present weighing. */
  let first = 0;
  const whole = (from: number) => done.slice(from).filter((trial) => trial.epochs === epochs);
  /** Halfway between the largest file of this weighing that fits and the smallest that does not. */
  const halfway = (): number[] | null => {
    const sorted = whole(first).sort((a, b) => a.outcome.fileBytes - b.outcome.fileBytes);
    const above = sorted.findIndex(({ outcome }) => outcome.fileBytes > bytes);
    if (above < 1) return null;
    const [below, beyond] = [sorted[above - 1].density, sorted[above].density];
    return below.map((density, i) => Number(Math.sqrt(density * beyond[i]).toPrecision(4)));
  };
  const isNew = (density: readonly number[]) => !whole(0).some((trial) => String(trial.density) === String(density));
  const tried = new Set<number>();
  let best: { readonly weighing: number; readonly valAccuracy: number } | null = null;
  let weighing = 1;
  let step = WEIGHING;
  return () => {
    const last = done.at(-1);
    if (!last) return fitting(SHARE, weighing);
    const { fileBytes, valAccuracy } = last.outcome;
    const share = useful(last.outcome) ? Math.max(0.01, (fileBytes - header()) / order0(last.density)) : SHARE;
    const again = fitting(share, weighing);
    if (last.epochs < epochs) return again;
    // What has not come near is tried again, with what it told of the share, or between the two that are nearest.
    if (fileBytes > bytes || fileBytes < NEAR * bytes) {
      const next = isNew(again) ? again : halfway();
      if (next && isNew(next)) return next;
    }
    if (fileBytes > bytes || base.length === 1) return null;
    if (!best || valAccuracy > best.valAccuracy) best = { weighing, valAccuracy };
    first = done.length;
    for (let i = 0; i < MOST_WEIGHINGS; i++) {
      tried.add(weighing);
      let untried = [best.weighing * step, best.weighing / step].find((w) => !tried.has(w));
      if (untried === undefined) {
        step = Math.sqrt(step);
        untried = best.weighing * step;
      }
      weighing = untried;
      const other = fitting(share, weighing);
      if (isNew(other)) return other;
    }
    return null;
  };
}

function forAccuracy<T extends Outcome>(
  { base, epochs }: Search<T>,
  done: readonly Trial<T>[],
  reaches: (trial: Trial<T>) => boolean,
): Next {
  /** The smallest scale known to reach the accuracy and the largest known to miss it. */
  let [least, most]: [number | null, number | null] = [null, null];
  let scale = 1;
  return () => {
    const last = done.at(-1);
    if (!last) return scaled(base, scale);
    if (reaches(last)) least = scale;
    else if (last.epochs === epochs) most = scale;
    // The short run has missed: that says nothing of the whole one.
    else return scaled(base, scale);
    const before = String(scaled(base, scale));
    scale = least === null ? 2 * scale : most === null ? least / 2 : Math.sqrt(least * most);
    return String(scaled(base, scale)) === before ? null : scaled(base, scale);
  };
}

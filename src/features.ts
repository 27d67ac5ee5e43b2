// Numbers as bytes: how the features of a table become the values that a network takes, and what a task's transform makes of raw rows
// before the engine has them.

/** One byte a feature: round((x - low) x scale), at least 0 and at most 255; f32 arithmetic, halves upwards, NaN gives 0. */
export interface Features {
  /** One value an input. */
  readonly low: Float32Array;
  readonly scale: Float32Array;
  /** What the inputs are called, each by its own name, where that is known. */
  readonly names?: readonly string[];
}

/**
 * The bytes of rows of raw features.
 * @param raw rows x width values, sample-major; width is that of the features
 * @returns as many bytes, in the same order
 */
export function featureBytes(raw: ArrayLike<number>, { low, scale }: Features): Uint8Array {
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < bytes.length; i++) {
    const input = i % low.length;
    const value = Math.fround(Math.fround(Math.fround(raw[i]) - low[input]) * scale[input]);
    bytes[i] = Math.floor(Math.fround(Math.min(255, Math.max(0, value)) + 0.5));
  }
  return bytes;
}

/** Where a feature comes from: the number in a field, or 1 where the field says a category, else 0. */
export interface FeatureSource {
  readonly source: string;
  readonly category?: string;
}

/** The categories of each field of words, in order. */
export function wordsOf(features: readonly FeatureSource[]): ReadonlyMap<string, readonly string[]> {
  const words = new Map<string, string[]>();
  for (const { source, category } of features) {
    if (category === undefined) continue;
    const known = words.get(source);
    if (known) known.push(category);
    else words.set(source, [category]);
  }
  return words;
}

/**
 * What a feature says of a field of words, after its name: `sex=male` is 1 where the field sex is male, else 0.
 * @param has whether there is such a field
 * @returns the longest field that the name begins with, and the category; undefined where there is none
 */
export function categoryOf(
  name: string,
  has: (field: string) => boolean,
): { readonly source: string; readonly category: string } | undefined {
  for (let end = name.lastIndexOf('='); end > 0; end = name.lastIndexOf('=', end - 1)) {
    const source = name.slice(0, end);
    if (has(source)) return { source, category: name.slice(end + 1) };
  }
  return undefined;
}

/** Numbers as people write them; 0x10 and 1e3 are words. */
const DECIMAL = /^[-+]?\d+(\.\d+)?$/;

/**
 * The category that a value means: the same word; else, as programs write them, true for True, and 7 or 7.0 for 7 or 007, where one alone
 * is the same number.
 * @returns undefined where none is meant, or several could be
 */
export function categoryMeant(value: unknown, categories: readonly string[]): string | undefined {
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') return undefined;
  const word = String(value);
  if (categories.includes(word)) return word;
  const small = word.toLowerCase();
  const same = (category: string): boolean =>
    DECIMAL.test(word)
      ? DECIMAL.test(category) && Number(category) === Number(word) && Math.abs(Number(word)) <= Number.MAX_SAFE_INTEGER
      : (small === 'true' || small === 'false') && category.toLowerCase() === small;
  const meant = categories.filter(same);
  return meant.length === 1 ? meant[0] : undefined;
}

/** What stands for a number that is missing: the middle of its bytes, 128, which is next to the mean of the rows that were standardised. */
export const middlesOf = ({ low, scale }: Features): Float64Array =>
  Float64Array.from(low, (from, input) => (scale[input] === 0 ? from : from + 128 / scale[input]));

/** Distance of 1 to the next float32. */
const FLOAT32_STEP = 2 ** -23;
/** Values within its reach that a feature has to have room for. */
const LEVELS = 16;

/** Deviations on either side of the mean that the bytes of a feature span; chosen on validation rows (bench/README.md, "Numbers"). */
const REACH = 1.25;

/**
 * Bytes for standardised features: 127.5 is the mean of the rows, what is beyond the reach stands at an end. Networks here have no
 * biases, so they tell rows apart by ratios of bytes: a sum of features that hardly changes is what a threshold can lean on. So each
 * feature is turned round (a negative scale) where it would otherwise rise with the sum of those before it.
 * @param rows rows x width finite values, sample-major: the training rows
 * @param width features of a row
 */
export function standardFeatures(rows: ArrayLike<number>, width: number): Features {
  const low = new Float32Array(width);
  const scale = new Float32Array(width);
  const count = rows.length / width;
  const sums = new Float64Array(count);
  for (let input = 0; input < width; input++) {
    let [sum, squares, common] = [0, 0, 0];
    for (let at = input; at < rows.length; at += width) sum += rows[at];
    const mean = sum / count;
    for (let at = input; at < rows.length; at += width) squares += (rows[at] - mean) ** 2;
    // A feature that is always the same, or whose steps no float32 can tell apart, has no deviation: any will do.
    const spread = REACH * Math.sqrt(squares / count);
    const reach = Number.isFinite(Math.fround(127.5 / spread)) ? spread : 1;
    const standard = (row: number) => Math.max(-1, Math.min(1, (rows[row * width + input] - mean) / reach));
    for (let row = 0; row < count; row++) common += sums[row] * standard(row);
    const sign = common > 0 ? -1 : 1;
    for (let row = 0; row < count; row++) sums[row] += sign * standard(row);
    low[input] = mean - sign * reach;
    scale[input] = (sign * 127.5) / reach;
  }
  return { low, scale };
}

/**
 * The first feature whose rows lie so far from 0 that float32, in which tasks take them, has room for few values
 * within its reach: what they say would be lost; undefined where there is none. One that is always the same says nothing.
 */
export function farFromZero(rows: ArrayLike<number>, { low, scale }: Features): number | undefined {
  const most = new Float64Array(low.length);
  const varies = new Uint8Array(low.length);
  for (let at = 0; at < rows.length; at++) {
    const input = at % low.length;
    most[input] = Math.max(most[input], Math.abs(rows[at]));
    if (rows[at] !== rows[input]) varies[input] = 1;
  }
  return [...scale.keys()].find((input) => varies[input] && 255 / Math.abs(scale[input]) < LEVELS * most[input] * FLOAT32_STEP);
}

/**
 * Raw values as the engine takes them, where a task's transform does more than the engine's: features become bytes, inputs declared
 * constant become 0. The same array when there is nothing to do.
 * @param raw rows x width values, sample-major
 */
export function asInputs<T extends Uint8Array | Float32Array>(
  raw: T,
  { constant, features }: { readonly constant: Uint8Array | null; readonly features?: Features },
  width: number,
): T | Uint8Array {
  const values: T | Uint8Array = features ? featureBytes(raw, features) : raw;
  return constant ? withConstants(values, constant, width) : values;
}

/** A copy of the rows with 0 in every input declared constant (one bit an input, least significant first). */
function withConstants<T extends Uint8Array | Float32Array>(raw: T, constant: Uint8Array, width: number): T {
  const values = raw.slice() as T;
  for (let i = 0; i < values.length; i++) {
    const input = i % width;
    if ((constant[input >> 3] >> (input & 7)) & 1) values[i] = 0;
  }
  return values;
}

// Reads range-coded masks: the model of ../context.ts over the decoder of ../rangecoder.ts, bit for bit, in WebAssembly. That model is a
// large loop, which V8 interprets for longer than most masks take before it has compiled it; this starts compiled, runs faster, and makes
// the random words itself.
//
// Ladder (AMD EPYC Zen 4, models/trained/mnist.smk and mnist-same-sign.smk in turns, milliseconds a mask):
//   1. helpers as constants that hold functions: calls through a table            14.2, 25.2
//   2. as functions, inlined                                                       9.3, 16.0 (and 60 bytes less, deflated)
//
// A payload is read by: begin, which says where its bytes go; start; for each layer skip, or next and then layer or adaptive; finished.
// Names are those of context.ts, which says what they mean.

import { words } from '../../src/engine/assembly/weights';
import { decode, finished, free, refused, release, reserve, room, spent, start } from './coder';
import { between, learn, level, LIMIT, MOST_SEEN, moved, shareOfOnes, SQUASH, stepped, STRETCH, stretch, terms } from './odds';

export { finished, refused, reserve, start };

/** Classes of sizes, and of a base. */
const SIZES: u32 = 1024;
const BASES: u32 = 10;

/** Forgets the last payload; returns where the range-coded bytes of the next go. */
export function begin(bytes: u32): usize {
  weights0 = i32x4(49152, 49152, 49152, 81920);
  weights1 = i32x4(16384, 40960, 40960, 65536);
  fanUnits = 0;
  const at = room(bytes);
  behind = free;
  return at;
}

/** Numbers of 32 bits. */
function filled(count: u32, value: i32): usize {
  const at = reserve(4 * count);
  for (let i: u32 = 0; i < count; i++) store<i32>(at + 4 * i, value);
  return at;
}

// ---- the adaptive scheme ----

/** Reads a layer of the adaptive scheme into zeros. */
export function adaptive(weights: u32, kept: u32, bits: usize): void {
  for (let i: u32 = 0; kept > 0; i++) {
    const bit = kept == weights - i ? 1 : decode(shareOfOnes(kept, weights - i));
    if (bit) keep(bits, i);
    kept -= bit;
  }
}

// ---- the model ----

/** A layer while it is read: numbers, and where its arrays lie. */
@unmanaged
class Layer {
  inputs: u32;
  row: u32;
  channels: u32;
  sized: boolean;
  k0: u32;
  k1: u32;
  stream: u32;
  /** Which input stands at a place of the grid, or 0. */
  order: usize;
  /** Its bits in the mask of the base task, or 0. */
  base: usize;
  bits: usize;
  first: i32;
  origin: i32;
  /** Bits to come, and how many of them are ones. */
  left: u32;
  ones: u32;
  /** Shares of ones, of the inputs, then by sizes, then by a base, and how many bits they stand for. */
  shares: usize;
  seen: usize;
  fan: usize;
  near: usize;
  sums: usize;
  missed: usize;
  hints: usize;
  scratch: usize;
  beside: usize;
  signed: usize;
  plain: usize;
}

const LAYER = changetype<Layer>(memory.data(128));

let weights0 = i32x4.splat(0);
let weights1 = i32x4.splat(0);
/** The log odds of the units of the layer before. */
let fan: usize = 0;
let fanUnits: u32 = 0;

/** The first byte behind the payload. */
let behind: usize = 0;

/** Takes back what the layer before was read with, but for the log odds of its units: layers take memory one by one. */
export function next(): void {
  if (!fanUnits) return release(behind);
  const at = (behind + 15) & ~15;
  memory.copy(at, fan, 2 * fanUnits);
  fan = at;
  release(at + 2 * fanUnits);
}

/** Passes a layer that its count tells. */
export function skip(): void {
  fanUnits = 0;
}

/** Hints of a unit, a byte an input; of networks without sizes the sign alone. */
function hint(l: Layer, unit: u32): void {
  const inputs = l.inputs, sized = l.sized, out = l.hints;
  const at = unit * inputs;
  const word = sized ? at : at >> 5;
  const count = sized ? inputs : (inputs >> 5) + 2;
  words(l.k0, l.k1, word >> 2, 1, l.stream, sized ? 0 : 1, l.scratch, (((count + 3) >> 2) + 8) & ~7, i32x4.splat(-1), i32x4.splat(0));
  const from = l.scratch + 4 * (word & 3);
  if (sized) {
    for (let i: u32 = 0; i < inputs; i++) {
      const word = load<u32>(from + 4 * i);
      store<u8>(out + i, ((word >>> 31) << 5) | (((word ^ ~(<i32>word >> 31)) >>> 26) & 31));
    }
  } else {
    const skipped = at & 31;
    for (let i: u32 = 0; i < inputs; i++) {
      const bit = skipped + i;
      store<u8>(out + i, (load<u32>(from + 4 * (bit >> 5)) >>> (bit & 31)) & 1);
    }
  }
}

function blur(l: Layer): void {
  const shares = l.shares, inputs = l.inputs, row = l.row, c = l.channels, sums = l.sums, origin = l.origin, out = l.near;
  for (let begin: u32 = 0; begin < inputs; begin += row) {
    for (let k: u32 = 0; k < row; k++) {
      const i = begin + k;
      const before = k >= c ? i - c : i;
      const after = k + c < row ? i + c : i;
      const sum = (load<i32>(shares + 4 * before) >> 14) + 2 * (load<i32>(shares + 4 * i) >> 14) + (load<i32>(shares + 4 * after) >> 14);
      store<i32>(sums + 4 * i, sum);
    }
  }
  for (let i: u32 = 0; i < inputs; i++) {
    const up = i >= row ? i - row : i;
    const down = i + row < inputs ? i + row : i;
    const sum = (load<i32>(sums + 4 * up) + 2 * load<i32>(sums + 4 * i) + load<i32>(sums + 4 * down)) >> 4;
    store<i16>(out + 2 * i, load<i16>(STRETCH + 2 * sum) - origin);
  }
}

// @ts-ignore: decorator
@inline
function bitOf(bits: usize, at: u32): i32 {
  return (load<u8>(bits + (at >> 3)) >> (at & 7)) & 1;
}
// @ts-ignore: decorator
@inline
function keep(bits: usize, at: u32): void {
  const byte = bits + (at >> 3);
  store<u8>(byte, load<u8>(byte) | (1 << <u8>(at & 7)));
}

function compare(l: Layer, first: u32): void {
  const base = l.base, order = l.order, inputs = l.inputs, row = l.row, c = l.channels, out = l.beside;
  for (let i: u32 = 0; i < inputs; i++) store<u8>(out + i, bitOf(base, first + (order ? load<u32>(order + 4 * i) : i)));
  for (let i: u32 = 0; i < inputs; i++) {
    const inRow = i % row;
    let beside = 0;
    if (inRow >= c) beside += load<u8>(out + i - c) & 1;
    if (inRow + c < row) beside += load<u8>(out + i + c) & 1;
    if (i >= row) beside += load<u8>(out + i - row) & 1;
    if (i + row < inputs) beside += load<u8>(out + i + row) & 1;
    store<u8>(out + i, load<u8>(out + i) + 2 * beside);
  }
}

// A field of errors: to the left, one a channel; above, one a place of the row; the row's own between a channel each of zeros.
const fieldBytes = (row: u32, channels: u32): u32 => 4 * (3 * channels + 2 * row + 8);
// @ts-ignore: decorator
@inline
function aboveEnd(above: usize, row: u32): usize {
  return above + 4 * row + 16;
}

/** The errors of a row become what is above the next. */
function endRow(field: usize, row: u32, c: u32): void {
  const above = field + 4 * c, errors = aboveEnd(above, row);
  memory.fill(field, 0, 4 * c);
  for (let i: usize = 0; i < 4 * <usize>row; i += 16) {
    const around = i32x4.add(v128.load(errors + i), v128.load(errors + i + 8 * c));
    const here = i32x4.shl(i32x4.add(v128.load(above + i), v128.load(errors + i + 4 * c)), 4);
    const sum = i32x4.add(here, i32x4.mul(i32x4.splat(11), around));
    v128.store(above + i, i32x4.shr_s(i32x4.mul(i32x4.splat(9), sum), 8));
  }
}

/** Reads the bits of one unit; returns its log odds. A function of its own, so that a faster version of it takes over between units. */
function readUnit(l: Layer, index: u32): i32 {
  const inputs = l.inputs, row = l.row, channels = l.channels, sized = l.sized, order = l.order, base = l.base, bits = l.bits;
  const origin = l.origin, shares = l.shares, seen = l.seen, sizes = inputs, bases = inputs + SIZES, near = l.near, missed = l.missed, hints = l.hints, beside = l.beside;
  const signedLeft = l.signed, signedAbove = signedLeft + 4 * channels, signedErrors = aboveEnd(signedAbove, row) + 4 * channels;
  const plainLeft = l.plain, plainAbove = plainLeft + 4 * channels, plainErrors = aboveEnd(plainAbove, row) + 4 * channels;
  const fans = l.fan;
  hint(l, index);
  blur(l);
  if (base) compare(l, index * inputs);
  memory.fill(signedLeft, 0, 4 * (channels + row));
  memory.fill(plainLeft, 0, 4 * (channels + row));
  let w0 = weights0;
  let w1 = weights1;
  let unitShare = l.first;
  let unitSeen = 6;
  let across = 0;
  let ones = l.ones;
  let left = l.left;
  for (let i: u32 = 0, inRow: u32 = 0, q: u32 = 0; i < inputs && ones > 0; i++, left--) {
    const input = order ? load<u32>(order + 4 * i) : i;
    const at = index * inputs + input;
    if (ones == left) {
      keep(bits, at);
      ones--;
      continue;
    }
    const hinted: i32 = load<u8>(hints + input);
    const sign = 2 * (sized ? hinted >> 5 : hinted) - 1;
    const leftS = load<i32>(signedLeft + 4 * q);
    const leftP = load<i32>(plainLeft + 4 * q);
    const agreement = sign * (leftS + load<i32>(signedAbove + 4 * inRow) + (across >> 2));
    let x0 = i32x4.splat(load<i16>(near + 2 * i));
    x0 = i32x4.replace_lane(x0, 1, stretch(unitShare) - origin);
    x0 = i32x4.replace_lane(x0, 2, load<i16>(fans + 2 * q));
    x0 = i32x4.replace_lane(x0, 3, agreement >> 7);
    let x1 = i32x4.replace_lane(i32x4.splat(0), 0, (leftP + load<i32>(plainAbove + 4 * inRow)) >> 7);
    let sizeAgreement: u32 = 0;
    let sizeLevel: u32 = 0;
    if (sized) {
      const size = sizes + 16 * (hinted & 31);
      sizeAgreement = size + between((agreement >> 14) + 8, 0, 15);
      sizeLevel = 512 + size + level(load<i32>(missed + 4 * i) >> 9);
      x1 = i32x4.replace_lane(x1, 1, stretch(load<i32>(shares + 4 * sizeAgreement)) - origin);
      x1 = i32x4.replace_lane(x1, 2, stretch(load<i32>(shares + 4 * sizeLevel)) - origin);
    }
    if (base) x1 = i32x4.replace_lane(x1, 3, stretch(load<i32>(shares + 4 * (bases + load<u8>(beside + i)))) - origin);
    const four = i32x4.add(terms(w0, x0), terms(w1, x1));
    const two = i32x4.add(four, i32x4.shuffle(four, four, 2, 3, 0, 1));
    const sum = i32x4.extract_lane(two, 0) + i32x4.extract_lane(two, 1);
    const one = load<i32>(SQUASH + 4 * between(LIMIT + origin + (sum >> 12), 0, 2 * LIMIT));

    const bit = decode(one);
    if (bit) keep(bits, at);
    ones -= bit;
    const error = (bit << 16) - one;
    const errors = i32x4.splat(error);
    w0 = stepped(w0, errors, x0);
    w1 = stepped(w1, errors, x1);
    learn(shares, seen, i, bit);
    unitShare = moved(unitShare, bit, unitSeen);
    unitSeen = min(unitSeen + 1, MOST_SEEN);
    if (sized) {
      learn(shares, seen, sizeAgreement, bit);
      learn(shares, seen, sizeLevel, bit);
      const before = load<i32>(missed + 4 * i);
      store<i32>(missed + 4 * i, before + (((2 * bit - 1) * error - before) >> 4));
    }
    if (base) learn(shares, seen, bases + load<u8>(beside + i), bit);
    const signedError = sign * error;
    store<i32>(signedErrors + 4 * inRow, signedError);
    store<i32>(plainErrors + 4 * inRow, error);
    store<i32>(signedLeft + 4 * q, (9 * (leftS + signedError)) >> 4);
    store<i32>(plainLeft + 4 * q, (9 * (leftP + error)) >> 4);
    across = (7 * (across + signedError)) >> 3;
    inRow++;
    if (++q == channels) {
      q = 0;
      across = 0;
      if (inRow == row) {
        inRow = 0;
        endRow(signedLeft, row, channels);
        endRow(plainLeft, row, channels);
      }
    }
  }
  weights0 = w0;
  weights1 = w1;
  l.ones = ones;
  l.left = left;
  return stretch(unitShare) - origin;
}

/**
 * Reads a layer of the context scheme.
 * @param height of what a unit sees; row: its width * channels
 * @param order which input stands at a place of the grid (u32 each), or 0
 * @param base the layer's bits in the mask of the base task, or 0
 * @param bits zeros, to be filled
 */
export function layer(
  units: u32, height: u32, row: u32, channels: u32, kept: u32, sized: boolean, k0: u32, k1: u32, stream: u32, order: usize, base: usize, bits: usize,
): void {
  const unitOdds = reserve(2 * units);
  const mark = free;
  const l = LAYER;
  const inputs = height * row;
  l.inputs = inputs;
  l.row = row;
  l.channels = channels;
  l.sized = sized;
  l.k0 = k0;
  l.k1 = k1;
  l.stream = stream;
  l.order = order;
  l.base = base;
  l.bits = bits;
  l.left = units * inputs;
  l.ones = kept;
  l.first = shareOfOnes(kept, l.left) << 14;
  l.origin = stretch(l.first);
  l.shares = filled(inputs + SIZES + BASES, l.first);
  l.seen = filled(inputs + SIZES + BASES, 4);
  l.fan = fanUnits == channels ? fan : reserve(2 * channels);
  l.near = reserve(2 * inputs);
  l.sums = reserve(4 * inputs);
  l.missed = filled(inputs, 1 << 14);
  l.hints = reserve(inputs);
  l.scratch = reserve(4 * inputs + 512);
  l.beside = reserve(inputs);
  l.signed = reserve(fieldBytes(row, channels));
  l.plain = reserve(fieldBytes(row, channels));
  for (let unit: u32 = 0; unit < units && l.ones > 0 && !spent(); unit++) {
    store<i16>(unitOdds + 2 * unit, readUnit(l, unit));
  }
  fan = unitOdds;
  fanUnits = units;
  release(mark);
}

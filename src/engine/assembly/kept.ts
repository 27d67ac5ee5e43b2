// Kept weights over many outputs at once: convolution under a sparse mask, forward and input gradient, f32 or i32.
//
// A convolution lays each sample out as channel planes whose rows share their zero columns, so that a kept weight is ONE offset for all
// output positions and 48 positions in a row are 12 vectors, whatever the width of the image (what lies beyond an output row is computed
// and thrown away: with a 3x3 kernel 1 position in width + 1):
//
//   plane (width 3, kernel 3)   0 0 0 0 | 0 a b c | 0 d e f | 0 0 0 0 | 0      position = row * pitch + column
//   strip                       acc[0..48) of a filter += weight * plane[channel][position + ky * pitch + kx ..]
//
// A tile of 48 positions goes through all filters while its three rows of all channels stay in the first cache. The input gradient
// is the same walk over planes of dZ with mirrored offsets.
//
// Ladder (as in walk.ts; 10 % of 64 x 64 kernels kept, microseconds an image):
//   1. tiles of 32 positions, outputs checked one by one       327
//   2. whole cache lines, a pixel that nobody reads takes what falls outside   318
//   3. tiles of 48 positions                                   300: 12.6 billion multiply-adds a second
// 37 of them are planes and pixels. An entry takes 11 cycles; its 14 loads, three of which cross a line, would allow 8.5. With 32
// channels, whose three rows fit the first cache, it takes 10.

import { close, columns, positive, Shape } from './image';
import { first, last } from './threads';
import { append, walk, ZEROS } from './walk';

/** Positions a tile. */
const TILE: u32 = 48;
/** Bytes of a strip. */
const STRIP: usize = <usize>TILE << 2;

/**
 * Lists the non-zero weights of each row in the order (a, b, c): entry {base + a * oa + b * ob + c * oc, weight}.
 * Offsets may be negative (mirrored kernels): they wrap.
 * @param taps extent of a and b
 * @param capacity entries from one row's list to the next
 */
export function keptLists(
  weights: usize, rows: u32, stride: u32, taps: u32, wa: u32, oa: u32, wb: u32, ob: u32, inner: u32, wc: u32, oc: u32,
  base: u32, lists: usize, counts: usize, capacity: u32, t: u32, n: u32,
): void {
  const bytes = <usize>capacity << 3;
  const end = last(rows, t, n);
  for (let r = first(rows, t, n); r < end; r++) {
    const list = lists + <usize>r * bytes;
    let q = list;
    for (let a: u32 = 0; a < taps; a++) {
      for (let b: u32 = 0; b < taps; b++) {
        let p = weights + <usize>r * stride + <usize>(a * wa + b * wb);
        let offset = base + a * oa + b * ob;
        for (let c: u32 = 0; c < inner; c++, p += wc, offset += oc) q = append(q, offset, load<u32>(p));
      }
    }
    store<u32>(counts + (<usize>r << 2), <u32>((q - list) >> 3));
  }
}

/** The planes of one sample; unwritten positions are the zeros of the border. */
function planes(shape: Shape, x: usize, out: usize): void {
  const pixel = <usize>shape.channels << 2;
  const plane = <usize>shape.plane;
  const pitch = <usize>shape.pitch << 2;
  const wide = shape.width;
  memory.fill(out, 0, <usize>shape.channels * plane);
  for (let y: u32 = 0; y < shape.height; y++) {
    const row = x + <usize>y * shape.xRow;
    const to = out + <usize>(y + shape.before) * pitch + (<usize>shape.before << 2);
    if (wide < 4) {
      for (let c: u32 = 0; c < shape.channels; c++) {
        for (let k: u32 = 0; k < wide; k++) store<u32>(to + <usize>c * plane + (<usize>k << 2), load<u32>(row + k * pixel + (<usize>c << 2)));
      }
      continue;
    }
    for (let group: u32 = 0; group < wide; group += 4) {
      // The last group overlaps the one before where the width is not a multiple of 4.
      const k = min<u32>(group, wide - 4);
      let p = row + <usize>k * pixel;
      const stop = p + pixel;
      let q = to + (<usize>k << 2);
      for (; p < stop; p += 16, q += plane << 2) {
        const p2 = p + (pixel << 1);
        columns(v128.load(p), v128.load(p + pixel), v128.load(p2), v128.load(p2 + pixel), q, q + plane, q + (plane << 1), q + plane * 3);
      }
    }
  }
}

/** Offset of the output of position k in a sample, or `nowhere` beyond the row and past the end. */
// @ts-ignore: decorator
@inline
function place(shape: Shape, k: u32, nowhere: usize): usize {
  const y = k / shape.pitch;
  const x = k % shape.pitch;
  if (y >= shape.outHeight || x >= shape.outWidth) return nowhere;
  return <usize>y * shape.outRow + ((<usize>x * shape.filters) << 2);
}

/** Four positions of all filters from strips [filter][48] to pixels. */
function pixels<T>(shape: Shape, strips: usize, k: u32, out: usize, nowhere: usize, bias: usize, relu: u32, gate: usize): void {
  const at0 = out + place(shape, k, nowhere), at1 = out + place(shape, k + 1, nowhere);
  const at2 = out + place(shape, k + 2, nowhere), at3 = out + place(shape, k + 3, nowhere);
  const stop = <usize>shape.filters << 2;
  for (let c: usize = 0, p = strips; c < stop; c += 16, p += 4 * STRIP) {
    let v0 = v128.load(p), v1 = v128.load(p, STRIP), v2 = v128.load(p, 2 * STRIP), v3 = v128.load(p, 3 * STRIP);
    if (bias) {
      const b = bias + c;
      v0 = v128.add<T>(v0, v128.load32_splat(b));
      v1 = v128.add<T>(v1, v128.load32_splat(b, 4));
      v2 = v128.add<T>(v2, v128.load32_splat(b, 8));
      v3 = v128.add<T>(v3, v128.load32_splat(b, 12));
    }
    if (relu) {
      v0 = positive<T>(v0);
      v1 = positive<T>(v1);
      v2 = positive<T>(v2);
      v3 = positive<T>(v3);
    }
    columns(v0, v1, v2, v3, at0 + c, at1 + c, at2 + c, at3 + c);
  }
  if (!gate) return;
  const g0 = gate + place(shape, k, 0), g1 = gate + place(shape, k + 1, 0);
  const g2 = gate + place(shape, k + 2, 0), g3 = gate + place(shape, k + 3, 0);
  for (let c: usize = 0; c < stop; c += 16) {
    close(at0 + c, g0 + c);
    close(at1 + c, g1 + c);
    close(at2 + c, g2 + c);
    close(at3 + c, g3 + c);
  }
}

/**
 * @param lists of each filter's kept weights, offsets into the planes
 * @param bias 0 or one value a filter
 * @param gate 0 or a tensor like out: results where it is not positive become 0
 * @param scratch `room` bytes a thread: the planes of a sample, 192 bytes a filter, a pixel that nobody reads
 */
export function keptConv<T>(
  shape: Shape, count: u32, x: usize, out: usize, lists: usize, counts: usize, bias: usize, relu: u32, gate: usize,
  scratch: usize, room: u32, t: u32, n: u32,
): void {
  const area = shape.outHeight * shape.pitch;
  const tiles = (area + TILE - 1) / TILE;
  const filters = shape.filters;
  const capacity = <usize>(shape.kernel * shape.kernel * shape.channels) << 3;
  const base = scratch + <usize>t * room;
  const strips = base + <usize>shape.channels * shape.plane;
  const nowhere = strips + <usize>filters * STRIP;
  const end = last(count * tiles, t, n);
  for (let unit = first(count * tiles, t, n); unit < end; ) {
    const sample = unit / tiles;
    let tile = unit % tiles;
    const stop = min<u32>(tiles, tile + end - unit);
    unit += stop - tile;
    planes(shape, x + <usize>sample * shape.xSample, base);
    const o = out + <usize>sample * shape.outSample;
    const g = gate ? gate + <usize>sample * shape.outSample : 0;
    for (; tile < stop; tile++) {
      const k = tile * TILE;
      const rest = min<u32>(TILE, area - k);
      for (let f: u32 = 0; f < filters; f++) {
        const p = lists + <usize>f * capacity;
        walk<T>((rest + 3) >> 2, p, p + (<usize>load<u32>(counts + (<usize>f << 2)) << 3), base + (<usize>k << 2), ZEROS, strips + <usize>f * STRIP);
      }
      for (let j: u32 = 0; j < rest; j += 4) pixels<T>(shape, strips + (<usize>j << 2), k + j, o, nowhere - o, bias, relu, g);
    }
  }
}

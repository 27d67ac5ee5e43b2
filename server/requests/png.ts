// A PNG image as one row of raw values. The chunk list is walked before anything is inflated: one header, exactly the network's
// height and width, not interlaced, one palette at most, and not too many chunks; so a hostile file cannot ask for memory, nor for much
// time.
//
// Samples of other depths become the nearest of 256 levels, a palette its colours. Grey = (299 R + 587 G + 114 B + 500) / 1000, rounded
// down: a grey image keeps its values. Transparent pixels lie over black.

import { inflateSync } from 'node:zlib';
import { PNG } from 'pngjs';
import { SeedmaskError } from '../../codec/errors.js';
import type { Shape } from '../../src/network.js';

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** Chunks that a file may have, however few their bytes: a thousand take pngjs some 2 ms, and four thousand twenty. */
const CHUNKS_LIMIT = 1024;
/** 256 colours. */
const PALETTE_BYTES = 768;
/** Chunks that a file has once at most, which pngjs would read again and again. */
const ONCE = ['PLTE', 'tRNS'];
/** Colour types: samples a pixel, and bits that a sample may have. */
const TYPES: ReadonlyMap<number, { readonly samples: number; readonly depths: readonly number[] }> = new Map([
  [0, { samples: 1, depths: [1, 2, 4, 8, 16] }],
  [2, { samples: 3, depths: [8, 16] }],
  [3, { samples: 1, depths: [1, 2, 4, 8] }],
  [4, { samples: 2, depths: [8, 16] }],
  [6, { samples: 4, depths: [8, 16] }],
]);

/**
 * Decodes an image of any colour type and depth for a network over [height, width, 1 or 3].
 * @returns height x width x channels bytes
 * @throws SeedmaskError bad-image
 */
export function decodePng(bytes: Uint8Array, [height, width, channels]: Shape): Uint8Array {
  if (channels !== 1 && channels !== 3) {
    throw new SeedmaskError('bad-image', { field: 'channels', expected: channels, got: '1 or 3', hint: 'Send the values as JSON.' });
  }
  checkChunks(bytes, height, width);
  let pixels: Uint8Array;
  try {
    pixels = PNG.sync.read(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)).data;
  } catch (error) {
    throw broken(error instanceof Error ? error.message : String(error));
  }
  const overBlack = (pixel: number, channel: number) => Math.floor((pixels[4 * pixel + channel] * pixels[4 * pixel + 3] + 127) / 255);
  const values = new Uint8Array(height * width * channels);
  for (let i = 0; i < height * width; i++) {
    if (channels === 1) values[i] = Math.floor((299 * overBlack(i, 0) + 587 * overBlack(i, 1) + 114 * overBlack(i, 2) + 500) / 1000);
    else for (let channel = 0; channel < 3; channel++) values[3 * i + channel] = overBlack(i, channel);
  }
  return values;
}

/** Whether bytes begin as a PNG file does. */
export const beginsAsPng = (bytes: Uint8Array): boolean => SIGNATURE.every((byte, i) => bytes[i] === byte);

/** Whether they do, and go on far enough for its header. */
export const hasPngSignature = (bytes: Uint8Array): boolean => bytes.length >= 33 && beginsAsPng(bytes);

/**
 * Whether an image with a signature is of colours, by its header, or by its palette where it has one.
 * @throws SeedmaskError bad-image where the file is cut short
 */
export function hasColours(bytes: Uint8Array): boolean {
  if (bytes[25] !== 3) return (bytes[25] & 2) !== 0;
  return [...chunks(bytes)].some(({ name, data }) => name === 'PLTE' && data.some((value, i) => value !== data[i - (i % 3)]));
}

const broken = (got: string): SeedmaskError => new SeedmaskError('bad-image', { field: 'the fault', expected: 'a whole PNG file', got });

/** Walks the chunks: signature, then one IHDR that fits, then no second one, and pixels to the last: pngjs makes up those that lack. */
function checkChunks(bytes: Uint8Array, height: number, width: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (!hasPngSignature(bytes)) throw broken('no PNG signature');
  if (view.getUint32(8) !== 13 || nameAt(bytes, 8) !== 'IHDR') throw broken('no IHDR chunk first');
  const got = `${view.getUint32(16)} x ${view.getUint32(20)}`;
  if (got !== `${width} x ${height}`) {
    const hint = 'Resize the image first: white strokes on black, raw values 0..255.';
    throw new SeedmaskError('bad-image', { field: 'width x height', expected: `${width} x ${height}`, got, hint });
  }
  const type = TYPES.get(bytes[25]);
  if (!type) throw new SeedmaskError('bad-image', { field: 'colour type', expected: [...TYPES.keys()].join(', '), got: bytes[25] });
  const { samples, depths } = type;
  if (!depths.includes(bytes[24])) {
    throw new SeedmaskError('bad-image', { field: 'bit depth', expected: depths.join(' or '), got: bytes[24] });
  }
  if (bytes[28] !== 0) {
    throw new SeedmaskError('bad-image', { field: 'interlacing', expected: 'none', got: bytes[28], hint: 'Save it without' });
  }
  const data: Uint8Array[] = [];
  const once = new Set<string>();
  for (const chunk of chunks(bytes)) {
    if (chunk.name === 'IHDR') throw broken('a second IHDR chunk');
    if (chunk.name === 'PLTE' && chunk.data.length > PALETTE_BYTES) throw broken('a palette of more than 256 colours');
    if (ONCE.includes(chunk.name)) {
      if (once.has(chunk.name)) throw broken(`a second ${chunk.name} chunk`);
      once.add(chunk.name);
    }
    if (chunk.name === 'IDAT') data.push(chunk.data);
  }
  checkPixels(Buffer.concat(data), height * (1 + Math.ceil((width * samples * bytes[24]) / 8)));
}

/** The chunks behind the header, to the last. */
function* chunks(bytes: Uint8Array): Generator<{ readonly name: string; readonly data: Uint8Array }> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let count = 1;
  for (let at = 33; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    if (++count > CHUNKS_LIMIT) {
      const [expected, got] = [`at most ${CHUNKS_LIMIT}`, `above ${CHUNKS_LIMIT}`];
      throw new SeedmaskError('bad-image', { field: 'number of chunks', expected, got });
    }
    const name = nameAt(bytes, at);
    yield { name, data: bytes.subarray(at + 8, at + 8 + view.getUint32(at)) };
    if (name === 'IEND') return;
  }
  throw broken('no IEND chunk: the file is cut short');
}

const nameAt = (bytes: Uint8Array, chunk: number): string => String.fromCharCode(...bytes.subarray(chunk + 4, chunk + 8));

/** Throws unless compressed pixels are `length` bytes, a filter and the samples of each line. */
function checkPixels(data: Uint8Array, length: number): void {
  let found: number;
  try {
    found = inflateSync(data, { maxOutputLength: length }).length;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw broken('more pixels than its header says');
    throw broken(error instanceof Error ? error.message : String(error));
  }
  if (found !== length) throw broken('fewer pixels than its header says');
}

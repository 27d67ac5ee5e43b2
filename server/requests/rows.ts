// Numbers from a request become rows of raw values: exactly `inputs` per row, every one finite as f32, to which they are rounded as
// rows of a CSV are in training. While all of them are whole numbers 0..255 the rows are bytes, which the engine runs as an exact integer
// program; the first other number turns the whole request into floats. Structure is checked before the values are copied, so memory follows what the client really sent.
//
// One instance may be flat [inputs], or shaped like the network's input: [H, W, C], or [H, W] when there is one channel.

import { SeedmaskError } from '../../codec/errors.js';
import { type Shape, size } from '../../src/network.js';
import { beginsAsPng } from './png.js';

/** `count` rows of raw values, row-major. */
export interface Rows {
  readonly values: Uint8Array | Float32Array;
  readonly count: number;
}

export interface RowOptions {
  /** The network's input. */
  readonly shape: Shape;
  /** Rows of one request at most. */
  readonly limit: number;
  /** JSON pointer of the value, for error texts. */
  readonly field: string;
  /** Whether a lone instance may come without its batch dimension. */
  readonly lone?: boolean;
  /** How to write a batch on this route, for error texts. */
  readonly batch?: string;
  /** Whether values must be whole numbers 0..255. */
  readonly bytes?: boolean;
}

/** The shapes one instance may have, flat first. */
function instanceShapes([height, width, channels]: Shape): number[][] {
  const flat = [height * width * channels];
  if (height === 1 && width === 1) return [flat];
  return channels === 1 ? [flat, [height, width], [height, width, channels]] : [flat, [height, width, channels]];
}

/**
 * Rows from a decoded `instances` value: a list of instances (numbers, nested numbers or bytes), or one byte string of whole rows.
 * @throws SeedmaskError bad-shape, bad-value or over-limit, with the JSON pointer of the first offender
 */
export function rowsOf(value: unknown, options: RowOptions): Rows {
  if (value instanceof Uint8Array) return rowsOfBytes(value, options);
  if (!Array.isArray(value)) {
    throw new SeedmaskError('bad-request', { field: options.field || '/', expected: 'a list of instances', got: brief(value) });
  }
  const lone = isLone(value, options);
  const instances = lone ? [value] : value;
  if (instances.length === 0) {
    throw new SeedmaskError('bad-shape', { field: options.field, expected: 'at least one instance', got: '[0]' });
  }
  checkCount(instances.length, options);
  for (let i = 0; i < instances.length; i++) checkInstance(instances[i], lone ? options.field : `${options.field}/${i}`, options);
  return write(instances, lone, options);
}

/**
 * Rows from raw bytes, one byte a value.
 * @throws SeedmaskError bad-shape when they are not whole rows, over-limit
 */
export function rowsOfBytes(bytes: Uint8Array, options: RowOptions): Rows {
  const width = size(options.shape);
  if (bytes.length === 0 || bytes.length % width !== 0) {
    throw new SeedmaskError('bad-shape', {
      field: options.field || 'the body',
      expected: `a multiple of ${width} bytes, one uint8 per input`,
      got: `[${bytes.length}]`,
      hint: foreignHint(bytes),
    });
  }
  checkCount(bytes.length / width, options);
  return { values: new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length), count: bytes.length / width };
}

/** Throws over-limit when a request holds too many rows. */
export function checkCount(count: number, { limit, field }: { readonly limit: number; readonly field: string }): void {
  if (count > limit) {
    throw new SeedmaskError('over-limit', {
      field: `number of rows in ${field || 'the body'}`,
      expected: limit,
      got: count,
      hint: 'Send the rest in further requests.',
    });
  }
}

/** A value from outside in a few characters: its type, and itself when it is short. */
export function brief(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (typeof value === 'object') return 'an object';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** The shape a value has along its first elements. */
export function shapeOf(value: unknown): number[] {
  const shape: number[] = [];
  for (let at = value; Array.isArray(at) || at instanceof Uint8Array; at = at[0]) shape.push(at.length);
  return shape;
}

const same = (a: readonly number[], b: readonly number[]): boolean => a.length === b.length && a.every((n, i) => n === b[i]);

/** Whether the whole value is one instance: allowed only where `lone` says so, and a batch is preferred where both would fit. */
function isLone(value: readonly unknown[], { shape, lone }: RowOptions): boolean {
  if (!lone) return false;
  const whole = shapeOf(value);
  const allowed = instanceShapes(shape);
  return allowed.some((s) => same(s, whole)) && !allowed.some((s) => same(s, whole.slice(1)));
}

/** Throws bad-shape unless an instance has exactly one of the allowed shapes throughout. */
function checkInstance(instance: unknown, field: string, options: RowOptions): void {
  const width = size(options.shape);
  const shape = shapeOf(instance);
  if (Array.isArray(instance) && shape.length === 1 && instance.length === width) return;
  if (instance instanceof Uint8Array && instance.length === width) return;
  if (!instanceShapes(options.shape).some((s) => same(s, shape))) {
    throw new SeedmaskError('bad-shape', {
      field,
      expected: instanceShapes(options.shape).map(format).join(' or '),
      got: Array.isArray(instance) || instance instanceof Uint8Array ? format(shape) : `[] (it is ${brief(instance)})`,
      hint: shapeHint(instance, shape, options),
    });
  }
  checkInner(instance, shape, 0, field);
}

/** Throws bad-shape at the first inner list whose length differs from its first sibling's. */
function checkInner(value: unknown, shape: readonly number[], depth: number, field: string): void {
  if (depth === shape.length) return;
  const list: ArrayLike<unknown> = Array.isArray(value) || value instanceof Uint8Array ? value : [];
  if (list.length !== shape[depth]) {
    throw new SeedmaskError('bad-shape', { field, expected: format(shape.slice(depth)), got: format(shapeOf(value)) });
  }
  if (depth + 1 < shape.length) for (let i = 0; i < list.length; i++) checkInner(list[i], shape, depth + 1, `${field}/${i}`);
}

const format = (shape: readonly number[]): string => `[${shape.join(', ')}]`;

function shapeHint(instance: unknown, shape: readonly number[], { shape: input, batch }: RowOptions): string | undefined {
  const allowed = instanceShapes(input);
  const width = size(input);
  const [height, columns, channels] = input;
  if (typeof instance === 'number') return `Add the batch dimension: ${batch ?? 'a list of instances'}.`;
  if (typeof instance === 'string') return 'Values are JSON numbers: send neither text nor base64.';
  if (instance !== null && typeof instance === 'object' && 'b64' in instance) {
    return 'Send numbers; PNG and raw bytes go to POST /tasks/NAME/classify.';
  }
  if (shape[0] === 1 && allowed.some((s) => same(s, shape.slice(1))))
    return 'Remove one pair of brackets: there is one batch dimension too many.';
  if (channels > 1 && same(shape, [channels, height, columns])) return 'Transpose it: the channel comes last.';
  if (channels === 1 && same(shape, [1, height, columns])) return 'Drop the leading 1: the channel comes last, not first.';
  if (shape.length === 1 && shape[0] === width * 3) return 'It looks like three channels: send one value per pixel.';
  if (shape.length === 2 && channels === 1 && shape[0] * shape[1] !== width) return `Resize the image to ${height} x ${columns} first.`;
  return undefined;
}

/** What the bytes of a body look like, when they are plainly something else than pixels. */
function foreignHint(bytes: Uint8Array): string | undefined {
  if (beginsAsPng(bytes)) return 'It looks like a PNG: send Content-Type: image/png.';
  if (bytes[0] === 0x7b || bytes[0] === 0x5b) return 'It looks like JSON: send Content-Type: application/json.';
  return undefined;
}

/** Copies checked instances into one typed array: bytes as long as every value is a byte. */
function write(instances: readonly unknown[], lone: boolean, options: RowOptions): Rows {
  const bytes = new Uint8Array(instances.length * size(options.shape));
  let floats: Float32Array | null = null;
  let next = 0;
  const copy = (value: unknown, depth: number, field: string): void => {
    if (value instanceof Uint8Array) {
      (floats ?? bytes).set(value, next);
      next += value.length;
      return;
    }
    const list: readonly unknown[] = Array.isArray(value) ? value : [];
    for (let i = 0; i < list.length; i++) {
      const x = list[i];
      if (depth > 1) {
        copy(x, depth - 1, `${field}/${i}`);
      } else if (floats === null && typeof x === 'number' && (x & 255) === x) {
        bytes[next++] = x;
      } else {
        if (typeof x !== 'number' || !Number.isFinite(Math.fround(x)) || options.bytes) refuseValue(x, `${field}/${i}`, options);
        floats ??= Float32Array.from(bytes);
        floats[next++] = x;
      }
    }
  };
  for (let row = 0; row < instances.length; row++) {
    copy(instances[row], shapeOf(instances[row]).length, lone ? options.field : `${options.field}/${row}`);
  }
  return { values: floats ?? bytes, count: instances.length };
}

/** Throws bad-value for what is no number that a row may have. */
export function refuseValue(x: unknown, field: string, { bytes }: Pick<RowOptions, 'bytes'> = {}): never {
  throw new SeedmaskError('bad-value', {
    field,
    expected: bytes ? 'a whole number 0..255' : wantedOf(x),
    got: brief(x),
    hint: valueHint(x),
  });
}

const wantedOf = (x: unknown): string => (typeof x === 'number' && Number.isFinite(x) ? 'within float32, up to 3.4e38' : 'a finite number');

function valueHint(x: unknown): string | undefined {
  if (x === null)
    return 'JSON has no NaN: JSON.stringify writes null for it. Replace missing values before sending: GET /tasks/NAME has means of numbers.';
  if (typeof x === 'string') return 'Send numbers, not text.';
  return typeof x === 'boolean' ? 'Send 0 and 255 for black and white, of tasks over numbers 0 and 1.' : undefined;
}

/**
 * Rows for a task over pixels, which was trained on no other values: scaled before, an image is not what it was.
 * @throws SeedmaskError bad-value at the first number outside 0..255, or of a row that is scaled to 0..1
 */
export function checkPixels({ values, count }: Rows): void {
  if (values instanceof Uint8Array) return;
  const width = values.length / count;
  const notPixel = (at: number, expected: string, hint: string): SeedmaskError => {
    const field = `input ${at % width} of row ${Math.floor(at / width)}`;
    return new SeedmaskError('bad-value', { field, expected, got: shortest(values[at]), hint });
  };
  for (let row = 0; row < count; row++) {
    let [most, fraction] = [0, -1];
    for (let at = row * width; at < (row + 1) * width; at++) {
      const value = values[at];
      if (!(value >= 0 && value <= 255)) throw notPixel(at, 'a pixel, 0..255', 'Send pixels as they are: the task scales them itself.');
      if (value > most) most = value;
      if (fraction < 0 && value % 1 !== 0) fraction = at;
    }
    // Resizing leaves fractions too, and then something in an image is lighter than the darkest grey.
    if (fraction >= 0 && most <= 1)
      throw notPixel(fraction, 'a pixel, 0..255, in a row of values up to 1', 'Send pixels as they are, not 0..1 (round what is black).');
  }
}

/** A float32 in as few digits as tell it from all others, as the client has most likely written it: -0.42. */
function shortest(x: number): number {
  let digits = 1;
  while (digits < 9 && Math.fround(Number(x.toPrecision(digits))) !== x) digits++;
  return Number(x.toPrecision(digits));
}

/** Rows that hold no more memory than they take: a small body is a piece of the 64 KiB that came with it. */
export const withoutSlack = ({ values, count }: Rows): Rows =>
  values.buffer.byteLength > 2 * values.byteLength ? { values: values.slice(), count } : { values, count };

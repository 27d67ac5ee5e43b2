// Numbers as files of other programs hold them, little-endian. Those of 16 bits, which JavaScript lacks here, are read as float32, which
// has all of them. What is none of these keeps the name that its file has for its type, and is refused when it is asked for.

export type NumberArray =
  | Float32Array
  | Float64Array
  | Uint8Array
  | Int8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** An array of texts, of objects, or of numbers that are not read here. */
export interface UnreadArray {
  readonly shape: readonly number[];
  /** As the file calls it. */
  readonly type: string;
}

/** How many bytes a number takes, and the numbers that so many bytes are. The bytes are kept: they begin a buffer of their own. */
export interface NumberType {
  readonly bytes: number;
  read(bytes: Uint8Array<ArrayBuffer>): NumberArray;
}

/** A typed array, made of bytes. */
export interface NumberArrayConstructor {
  new (buffer: ArrayBuffer): NumberArray;
  readonly BYTES_PER_ELEMENT: number;
}

/** Numbers that a typed array holds as they are. */
export const stored = (type: NumberArrayConstructor): NumberType => ({
  bytes: type.BYTES_PER_ELEMENT,
  read: ({ buffer }) => new type(buffer),
});

/** IEEE 754 binary16: a sign, five bits of exponent, ten of fraction. */
export const HALF: NumberType = { bytes: 2, read: ({ buffer }) => Float32Array.from(new Uint16Array(buffer), fromHalf) };

function fromHalf(bits: number): number {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  const finite = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
  const size = exponent < 31 ? finite : fraction === 0 ? Number.POSITIVE_INFINITY : Number.NaN;
  return bits & 0x8000 ? -size : size;
}

/** bfloat16: the first half of a float32. */
export const BFLOAT: NumberType = {
  bytes: 2,
  read: ({ buffer }) => new Float32Array(Uint32Array.from(new Uint16Array(buffer), (bits) => bits << 16).buffer),
};

// A binary range coder: a bit whose probability both sides know costs -log2(probability) bits, to within a hundredth of a percent.
// The coder keeps an interval [low, low + range) of 32-bit numbers; a bit takes its share of it, and when range falls below 2^24
// the top byte of low is settled and moves out. A carry into bytes already written is added to them.
// The stream ends with the fewest bytes that lie inside the last interval, so a bit sequence has one encoding; the decoder
// follows `low` too and refuses any other ending.
// The shape is the carry range coder of Martin (1979), with the 32-bit word and 2^24 floor made common by LZMA.

const FULL = 0x1_0000_0000;
const FLOOR = 0x100_0000;

/** Endings from shortest to longest: 4 - dropped bytes of low follow the settled ones. */
const DROPPED = [4, 3, 2, 1, 0];

/** A coder that writes a bit, or reads one whatever bit it is given: a model runs the same loop over both. */
export interface BitCoder {
  /**
   * @param one probability of a 1 in 1/65536, 1..65535
   * @returns the bit
   */
  code(one: number, bit: number): number;
  /** Whether there was nothing left to read: what comes now is made up. */
  readonly spent: boolean;
}

/** Writes bits. */
export class RangeEncoder implements BitCoder {
  readonly #bytes: number[] = [];
  #low = 0;
  #range = FULL - 1;
  readonly spent = false;

  code(one: number, bit: number): number {
    const bound = (this.#range >>> 16) * one;
    if (bit) this.#range = bound;
    else {
      this.#add(bound);
      this.#range -= bound;
    }
    while (this.#range < FLOOR) {
      this.#range *= 256;
      this.#shift();
    }
    return bit;
  }

  /** Ends the stream. */
  finish(): Uint8Array {
    for (const dropped of DROPPED) {
      const unit = 256 ** dropped;
      const rest = (unit - (this.#low % unit)) % unit;
      if (rest >= this.#range) continue;
      this.#add(rest);
      for (let i = dropped; i < 4; i++) this.#shift();
      break;
    }
    return Uint8Array.from(this.#bytes);
  }

  #add(amount: number): void {
    this.#low += amount;
    if (this.#low < FULL) return;
    this.#low -= FULL;
    let i = this.#bytes.length - 1;
    while (this.#bytes[i] === 255) this.#bytes[i--] = 0;
    this.#bytes[i]++;
  }

  #shift(): void {
    this.#bytes.push(this.#low >>> 24);
    this.#low = (this.#low << 8) >>> 0;
  }
}

/** Reads what RangeEncoder wrote; past the end it reads zeros, at most four of which a whole stream may need. */
export class RangeDecoder implements BitCoder {
  readonly #bytes: Uint8Array;
  #next = 0;
  /** [code, low, range]: typed, so that no step allocates. */
  readonly #state = Uint32Array.of(0, 0, FULL - 1);

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    for (let i = 0; i < 4; i++) this.#shift();
  }

  code(one: number): number {
    const state = this.#state;
    const range = state[2];
    const bound = Math.imul(range >>> 16, one) >>> 0;
    const bit = state[0] < bound ? 1 : 0;
    if (bit) state[2] = bound;
    else {
      state[0] -= bound;
      state[1] += bound;
      state[2] = range - bound;
    }
    while (state[2] < FLOOR) {
      state[2] <<= 8;
      state[1] <<= 8;
      this.#shift();
    }
    return bit;
  }

  get spent(): boolean {
    return this.#next > this.#bytes.length + 4;
  }

  /** Whether the stream ended exactly where, and with the bytes with which, the encoder would have ended it. */
  finished(): boolean {
    const [code, low, range] = this.#state;
    for (const dropped of DROPPED) {
      const unit = 256 ** dropped;
      const rest = (unit - (low % unit)) % unit;
      if (rest < range) return code === rest && this.#next - this.#bytes.length === dropped;
    }
    return false;
  }

  #shift(): void {
    const byte = this.#next < this.#bytes.length ? this.#bytes[this.#next] : 0;
    this.#next++;
    this.#state[0] = (this.#state[0] << 8) | byte;
  }
}

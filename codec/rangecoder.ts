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

/** Writes bits with 16-bit probabilities. */
export class RangeEncoder {
  readonly #bytes: number[] = [];
  #low = 0;
  #range = FULL - 1;

  /** @param one probability of a 1 in 1/65536, 1..65535 */
  put(bit: number, one: number): void {
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
export class RangeDecoder {
  readonly #bytes: Uint8Array;
  #next = 0;
  #code = 0;
  #low = 0;
  #range = FULL - 1;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    for (let i = 0; i < 4; i++) this.#shift();
  }

  /** @param one probability of a 1 in 1/65536, 1..65535 */
  get(one: number): number {
    const bound = (this.#range >>> 16) * one;
    const bit = this.#code < bound ? 1 : 0;
    if (bit) this.#range = bound;
    else {
      this.#code -= bound;
      this.#low = (this.#low + bound) >>> 0;
      this.#range -= bound;
    }
    while (this.#range < FLOOR) {
      this.#range *= 256;
      this.#low = (this.#low << 8) >>> 0;
      this.#shift();
    }
    return bit;
  }

  /** Whether the stream ended exactly where, and with the bytes with which, the encoder would have ended it. */
  finished(): boolean {
    for (const dropped of DROPPED) {
      const unit = 256 ** dropped;
      const rest = (unit - (this.#low % unit)) % unit;
      if (rest < this.#range) return this.#code === rest && this.#next - this.#bytes.length === dropped;
    }
    return false;
  }

  #shift(): void {
    const byte = this.#next < this.#bytes.length ? this.#bytes[this.#next] : 0;
    this.#next++;
    this.#code = ((this.#code << 8) | byte) >>> 0;
  }
}

// Memory in the order in which it is taken, and the decoder of ../rangecoder.ts.

/** The first free byte of memory: everything from here on is zero. */
export let free: usize = __heap_base;

/** Gives back what was reserved since `mark` was free. */
export function release(mark: usize): void {
  memory.fill(mark, 0, free - mark);
  free = mark;
}

/** Whether memory was asked for that there is not: what was being read stays where it stopped. */
export let refused = false;

/** Bytes of zeros at a multiple of 16, 16 more behind them. */
export function reserve(bytes: usize): usize {
  const at = (free + 15) & ~15;
  free = at + bytes + 16;
  const pages = (<i32>((free + 65535) >> 16)) - memory.size();
  if (pages > 0 && memory.grow(pages) < 0) {
    refused = true;
    unreachable();
  }
  return at;
}

let payload: usize;
let length: u32;
let next: u32;
let code: u32;
let low: u32;
let range: u32;

/** Everything is free again but for the bytes of a payload. */
export function room(bytes: u32): usize {
  release(__heap_base);
  length = bytes;
  payload = reserve(bytes);
  return payload;
}

/** Begins to read the bytes that are there now. */
export function start(): void {
  next = 0;
  low = 0;
  range = 0xffffffff;
  for (let i = 0; i < 4; i++) shift();
}

/** The next bit, of which 1 has the probability one / 65536. */
// @ts-ignore: decorator
@inline
export function decode(one: i32): i32 {
  const bound = (range >>> 16) * <u32>one;
  const bit = <i32>(code < bound);
  if (bit) range = bound;
  else {
    code -= bound;
    low += bound;
    range -= bound;
  }
  while (range < 1 << 24) {
    range <<= 8;
    low <<= 8;
    shift();
  }
  return bit;
}

function shift(): void {
  code = (code << 8) | (next < length ? load<u8>(payload + next) : 0);
  next++;
}

/** Whether there was nothing left to read: what comes now is made up. */
export function spent(): boolean {
  return next > length + 4;
}

/** Whether the stream ended where, and with the bytes with which, its writer would have ended it. */
export function finished(): boolean {
  for (let dropped = 4; dropped >= 0; dropped--) {
    const rest = <u32>((0 - <u64>low) & ((<u64>1 << (8 * dropped)) - 1));
    if (rest < range) return code == rest && next - length == dropped;
  }
  return false;
}

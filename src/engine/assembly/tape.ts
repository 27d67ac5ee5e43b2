// A tape of operations, and how an operation's operands are read.
//
//   one operation = 16 words of 4 bytes: [code, 15 operands (u32, or f32 where the kernel takes a float)]; code 0 ends the tape
//
// Codes are the cases of index.ts and trainer.ts, in the order of OPERATIONS in src/engine/wasm/machine.ts.

import { Shape } from './image';

/** After operations with codes above it no barrier follows: they deal their work the same way as their neighbours. */
export const MEET: u32 = 99;

// @ts-ignore: decorator
@inline
export function u(op: usize, i: usize): u32 {
  return load<u32>(op + (i << 2));
}

// @ts-ignore: decorator
@inline
export function f(op: usize, i: usize): f32 {
  return load<f32>(op + (i << 2));
}

/** The geometry that a layer's first operand points to. */
// @ts-ignore: decorator
@inline
export function s(op: usize): Shape {
  return changetype<Shape>(<usize>load<u32>(op, 4));
}

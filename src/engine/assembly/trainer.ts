// The operations that only training needs. Codes and operands: tape.ts.

import { convGradient } from './gradient';
import { denseBack, strips } from './dense';
import { draw, rescale, shiftOf } from './draws';
import { restrict, unpool } from './image';
import { emitAll, stepActive, stepBias, stepInputs } from './inputs';
import { eulerOfRows, rescaleRows, stepRows } from './rows';
import { Rule } from './rule';
import { topkRun } from './runs';
import { denseBackward, denseForward, keptBackward, keptForward, softmaxRows } from './samples';
import { choose } from './select';
import { compressColumns } from './sparse';
import { f, s, u } from './tape';
import { flip, gatherColumns, Layer } from './tiles';
import { adam, crossEntropy, sgd, sumRows } from './training';

/** Runs the operation at `o` as thread t of n. */
export function trainingOperation(code: u32, o: usize, t: u32, n: u32): void {
  switch (code) {
    case 4: compressColumns(u(o, 1), u(o, 2), u(o, 3), u(o, 4), u(o, 5), u(o, 6), u(o, 7), u(o, 8), t, n); break;
    case 7: crossEntropy(u(o, 1), u(o, 2), u(o, 3), u(o, 4), u(o, 5), u(o, 6), u(o, 7), u(o, 8), u(o, 9), u(o, 10), t, n); break;
    case 8: adam(u(o, 1), u(o, 2), u(o, 3), u(o, 4), u(o, 5), f(o, 6), f(o, 7), f(o, 8), f(o, 9), f(o, 10), f(o, 11), t, n); break;
    case 9: sgd(u(o, 1), u(o, 2), u(o, 3), u(o, 4), f(o, 5), f(o, 6), t, n); break;
    case 18: sumRows(u(o, 1), u(o, 2), u(o, 3), u(o, 4), t, n); break;
    case 63: unpool(s(o), u(o, 2), u(o, 3), u(o, 4), u(o, 5), u(o, 6), t, n); break;
    case 73: convGradient(s(o), u(o, 2), u(o, 3), u(o, 4), u(o, 5), u(o, 6), u(o, 7), u(o, 8), u(o, 9), u(o, 10), t, n); break;
    case 74: denseBack(u(o, 1), u(o, 2), u(o, 3), u(o, 4), u(o, 5), u(o, 6), u(o, 7), u(o, 8), u(o, 9), t, n); break;
    case 75: strips(u(o, 1), u(o, 2), u(o, 3), u(o, 4), u(o, 5), u(o, 6), u(o, 7), u(o, 8), u(o, 9), t, n); break;
    case 76: restrict(u(o, 1), u(o, 2), u(o, 3), t, n); break;
    case 77: topkRun(changetype<Layer>(u(o, 1)), u(o, 2), f(o, 3), f(o, 4), f(o, 5), t, n); break;
    case 100: gatherColumns(u(o, 1), u(o, 2), u(o, 3), u(o, 4), f(o, 5), f(o, 6), u(o, 7), u(o, 8), t, n); break;
    case 101: flip(u(o, 1), u(o, 2), u(o, 3), u(o, 4), u(o, 5), u(o, 6), t, n); break;
    case 102: keptForward(changetype<Layer>(u(o, 1)), u(o, 2), t, n); break;
    case 103: keptBackward(changetype<Layer>(u(o, 1)), u(o, 2), t, n); break;
    case 104: denseForward(changetype<Layer>(u(o, 1)), u(o, 2), t, n); break;
    case 105: denseBackward(changetype<Layer>(u(o, 1)), u(o, 2), t, n); break;
    case 106: softmaxRows(changetype<Layer>(u(o, 1)), u(o, 2), u(o, 3), u(o, 4), u(o, 5), u(o, 6), t, n); break;
    case 107: stepInputs(changetype<Layer>(u(o, 1)), u(o, 2), changetype<Rule>(u(o, 3)), u(o, 4), t, n); break;
    case 108: stepBias(changetype<Layer>(u(o, 1)), u(o, 2), changetype<Rule>(u(o, 3)), t, n); break;
    case 109: emitAll(changetype<Layer>(u(o, 1)), f(o, 2), t, n); break;
    case 110: stepActive(changetype<Layer>(u(o, 1)), u(o, 2), changetype<Rule>(u(o, 3)), u(o, 4), t, n); break;
    case 111: choose(changetype<Layer>(u(o, 1)), u(o, 2), u(o, 3), u(o, 4), t, n); break;
    case 112: draw(changetype<Layer>(u(o, 1)), changetype<Rule>(u(o, 2)), u(o, 3), u(o, 4), t, n); break;
    case 113: rescale(changetype<Layer>(u(o, 1)), t, n); break;
    case 114: shiftOf(changetype<Layer>(u(o, 1)), u(o, 2), u(o, 3), t, n); break;
    case 115: stepRows(changetype<Layer>(u(o, 1)), changetype<Rule>(u(o, 2)), u(o, 3), u(o, 4), u(o, 5), u(o, 6), t, n); break;
    case 116: rescaleRows(changetype<Layer>(u(o, 1)), u(o, 2), u(o, 3), t, n); break;
    case 117: eulerOfRows(changetype<Layer>(u(o, 1)), s(o + 4), u(o, 3), u(o, 4), u(o, 5), u(o, 6), t, n); break;
    default: unreachable();
  }
}

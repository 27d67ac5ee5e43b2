// The drawing pad: strokes by mouse, pen, finger or keyboard. It tells its owner after every move; what the strokes mean is not its
// business.

import { type Stroke, trace } from './digit.js';
import { coloursOf, type Rgb } from './pictures.js';

const SIZE = 280;
const PEN = 20;
const STEP = 8;
const within = (v: number): number => Math.min(SIZE, Math.max(0, v));

export interface Pad {
  clear(): void;
  /** Shows an image in the page's ink instead of strokes: a digit of the test set. */
  show(image: (ink: Rgb) => ImageData): void;
  /** After the page's colours have changed. */
  repaint(): void;
}

/** @param drawn told after every change by the user, with all strokes */
export function createPad(canvas: HTMLCanvasElement, drawn: (strokes: readonly Stroke[]) => void): Pad {
  const context = canvas.getContext('2d')!;
  let strokes: [number, number][][] = [];
  let under: ((ink: Rgb) => ImageData) | null = null;
  /** The stroke that grows under a finger or the mouse. A second finger, or the hand's edge, draws nothing meanwhile. */
  let growing: { readonly pointer: number; readonly stroke: [number, number][] } | null = null;
  let pen = { x: SIZE / 2, y: SIZE / 2, down: false, shown: false };

  const paint = () => {
    context.clearRect(0, 0, SIZE, SIZE);
    if (under) {
      const image = under(coloursOf(canvas).ink);
      const small = new OffscreenCanvas(image.width, image.height);
      small.getContext('2d')!.putImageData(image, 0, 0);
      context.imageSmoothingEnabled = false;
      context.drawImage(small, 0, 0, SIZE, SIZE);
    }
    context.strokeStyle = getComputedStyle(canvas).getPropertyValue('--ink');
    trace(context, strokes, PEN);
    if (!pen.shown) return;
    context.lineWidth = 2;
    context.strokeStyle = getComputedStyle(canvas).getPropertyValue('--minus');
    context.strokeRect(pen.x - PEN / 2, pen.y - PEN / 2, PEN, PEN);
  };
  const begin = (x: number, y: number) => {
    under = null;
    strokes.push([[x, y]]);
  };
  const changed = () => {
    paint();
    drawn(strokes);
  };
  const clear = () => {
    strokes = [];
    growing = null;
    under = null;
    pen = { ...pen, down: false };
    paint();
  };

  /** A stroke that leaves the pad goes along its edge: beyond, nobody sees it. */
  const at = (event: PointerEvent): [number, number] => {
    const box = canvas.getBoundingClientRect();
    return [within(((event.clientX - box.left) * SIZE) / box.width), within(((event.clientY - box.top) * SIZE) / box.height)];
  };
  canvas.addEventListener('pointerdown', (event) => {
    // Of a mouse the main button draws; a finger and the tip of a pen count as it.
    if (growing || event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    pen = { ...pen, down: false, shown: false };
    begin(...at(event));
    growing = { pointer: event.pointerId, stroke: strokes[strokes.length - 1] };
    changed();
  });
  canvas.addEventListener('pointermove', (event) => {
    if (growing?.pointer !== event.pointerId) return;
    growing.stroke.push(at(event));
    changed();
  });
  canvas.addEventListener('lostpointercapture', (event) => {
    if (growing?.pointer === event.pointerId) growing = null;
  });

  const MOVES: Record<string, readonly [number, number]> = {
    ArrowLeft: [-STEP, 0],
    ArrowRight: [STEP, 0],
    ArrowUp: [0, -STEP],
    ArrowDown: [0, STEP],
  };
  canvas.addEventListener('keydown', (event) => {
    const move = MOVES[event.key];
    if (move) {
      pen = { ...pen, x: within(pen.x + move[0]), y: within(pen.y + move[1]), shown: true };
      if (pen.down) strokes[strokes.length - 1].push([pen.x, pen.y]);
      if (pen.down) changed();
      else paint();
    } else if (event.key === ' ') {
      pen = { ...pen, down: !pen.down, shown: true };
      if (pen.down) begin(pen.x, pen.y);
      changed();
    } else if (event.key === 'Delete' || event.key === 'Backspace') {
      clear();
      drawn(strokes);
    } else return;
    event.preventDefault();
  });
  canvas.addEventListener('blur', () => {
    pen = { ...pen, down: false, shown: false };
    paint();
  });

  return {
    clear,
    show(image) {
      clear();
      under = image;
      paint();
    },
    repaint: paint,
  };
}

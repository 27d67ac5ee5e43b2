// From pen strokes to the pixels a network of handwritten digits expects, made as MNIST was: the ink fits a box of 20 x 20, its centre
// of mass stands in the middle of 28 x 28, and edges are soft. Pixels are 0 .. 255, ink is bright.

/** Points of one stroke, in any unit, as long as all strokes share it. */
export type Stroke = readonly (readonly [x: number, y: number])[];

export const SIDE = 28;
const BOX = 20;
/** Width of a pen line in pixels of the digit, about that of MNIST's. */
const PEN = 2.4;

/** 28 x 28 values of the strokes; all 0 without any. */
export function rasterise(strokes: readonly Stroke[]): Uint8Array {
  const points = strokes.flat();
  const out = new Uint8Array(SIDE * SIDE);
  if (points.length === 0) return out;
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const scale = (BOX - PEN) / Math.max(right - left, bottom - top, 1e-6);
  // A dot has no extent: it stays a dot.
  const zoom = Math.min(scale, (BOX - PEN) / 4);
  const place = (dx: number, dy: number) =>
    ink(strokes, zoom, SIDE / 2 - (zoom * (left + right)) / 2 + dx, SIDE / 2 - (zoom * (top + bottom)) / 2 + dy);
  const first = place(0, 0);
  let [mass, mx, my] = [0, 0, 0];
  first.forEach((value, i) => {
    mass += value;
    mx += value * ((i % SIDE) + 0.5);
    my += value * (Math.floor(i / SIDE) + 0.5);
  });
  return mass === 0 ? out : place(SIDE / 2 - mx / mass, SIDE / 2 - my / mass);
}

function ink(strokes: readonly Stroke[], zoom: number, dx: number, dy: number): Uint8Array {
  const canvas = new OffscreenCanvas(SIDE, SIDE);
  const context = canvas.getContext('2d')!;
  context.setTransform(zoom, 0, 0, zoom, dx, dy);
  trace(context, strokes, PEN / zoom);
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  return Uint8Array.from({ length: SIDE * SIDE }, (_, i) => data[4 * i + 3]);
}

/** Draws strokes as lines of a round pen in the context's own unit. */
export function trace(
  context: CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D,
  strokes: readonly Stroke[],
  width: number,
): void {
  context.lineWidth = width;
  context.lineCap = context.lineJoin = 'round';
  for (const stroke of strokes) {
    context.beginPath();
    stroke.forEach(([x, y], i) => {
      if (i === 0) context.moveTo(x, y);
      context.lineTo(x, y);
    });
    context.stroke();
  }
}

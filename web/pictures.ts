// Masks as pictures: a weight that is kept is coloured by its sign, one that is not leaves the ground. A unit is drawn as the image of
// its inputs; a layer as all its units side by side.

import type { LayerPicture } from './workbench.js';

/** The page's colours: of ink, and of kept weights by sign. */
export interface Colours {
  readonly ink: Rgb;
  readonly plus: Rgb;
  readonly minus: Rgb;
}
export type Rgb = readonly [red: number, green: number, blue: number];

export function coloursOf(element: Element): Colours {
  const style = getComputedStyle(element);
  const rgb = (name: string): Rgb => {
    const value = Number.parseInt(style.getPropertyValue(name).trim().slice(1), 16);
    return [value >> 16, (value >> 8) & 255, value & 255];
  };
  return { ink: rgb('--ink'), plus: rgb('--plus'), minus: rgb('--minus') };
}

/** Channels stand side by side; an image of one row, such as the units before, is folded to a square. */
function sizeOf({ shape: [height, width, channels] }: Pick<LayerPicture, 'shape'>): { readonly across: number; readonly down: number } {
  if (height > 1) return { across: width * channels + (channels - 1), down: height };
  const across = Math.ceil(Math.sqrt(width * channels));
  return { across, down: Math.ceil((width * channels) / across) };
}

/** Where input i of a unit stands in its image. */
function placeOf({ shape: [height, width, channels] }: LayerPicture, i: number, across: number): readonly [number, number] {
  if (height === 1) return [i % across, Math.floor(i / across)];
  const pixel = Math.floor(i / channels);
  return [(pixel % width) + (i % channels) * (width + 1), Math.floor(pixel / width)];
}

/** Width in pixels that a picture of a layer has, or nearly, at least. */
const FRAMED = 600;

const bit = (bits: Uint8Array, i: number): number => (bits[i >> 3] >> (i & 7)) & 1;

/** How units of a layer are laid out: places of `side` pixels and a gap. */
export function tiling(layer: LayerPicture): { readonly columns: number; readonly across: number; readonly down: number } {
  const { across, down } = sizeOf(layer);
  const columns = Math.max(1, Math.min(layer.units, Math.round(Math.sqrt((layer.units * (down + 1) * 2) / (across + 1)))));
  return { columns, across, down };
}

/** All units, each with its kept inputs. @returns the number of kept weights */
export function drawLayer(canvas: HTMLCanvasElement, layer: LayerPicture, colours: Colours, chosen: number): number {
  const { columns, across, down } = tiling(layer);
  const rows = Math.ceil(layer.units / columns);
  canvas.width = columns * (across + 1) + 1;
  canvas.height = rows * (down + 1) + 1;
  const context = canvas.getContext('2d')!;
  const image = context.createImageData(canvas.width, canvas.height);
  let keptWeights = 0;
  for (let unit = 0; unit < layer.units; unit++) {
    const [x, y] = [1 + (unit % columns) * (across + 1), 1 + Math.floor(unit / columns) * (down + 1)];
    keptWeights += drawUnitAt(image, layer, unit, x, y, across, colours);
  }
  // Small layers are drawn larger, so that the frame around the chosen unit stays a thin line.
  const zoom = Math.max(1, Math.floor(FRAMED / canvas.width));
  if (zoom > 1) {
    const small = new OffscreenCanvas(canvas.width, canvas.height);
    small.getContext('2d')!.putImageData(image, 0, 0);
    canvas.width *= zoom;
    canvas.height *= zoom;
    context.imageSmoothingEnabled = false;
    context.scale(zoom, zoom);
    context.drawImage(small, 0, 0);
  } else context.putImageData(image, 0, 0);
  context.lineWidth = Math.min(2, 3 / zoom);
  context.strokeStyle = getComputedStyle(canvas).getPropertyValue('--text');
  context.strokeRect(0.5 + (chosen % columns) * (across + 1), 0.5 + Math.floor(chosen / columns) * (down + 1), across + 1, down + 1);
  return keptWeights;
}

/** The first unit of those that keep most inputs: many keep none. */
export function fullest({ units, shape, kept }: LayerPicture): number {
  const inputs = shape.reduce((a, b) => a * b, 1);
  let [best, most] = [0, -1];
  for (let unit = 0; unit < units; unit++) {
    let count = 0;
    for (let i = unit * inputs; i < (unit + 1) * inputs; i++) count += bit(kept, i);
    if (count > most) [best, most] = [unit, count];
  }
  return best;
}

/** One unit alone. @returns the number of its kept weights */
export function drawUnit(canvas: HTMLCanvasElement, layer: LayerPicture, unit: number, colours: Colours): number {
  const { across, down } = sizeOf(layer);
  canvas.width = across;
  canvas.height = down;
  const context = canvas.getContext('2d')!;
  const image = context.createImageData(across, down);
  const count = drawUnitAt(image, layer, unit, 0, 0, across, colours);
  context.putImageData(image, 0, 0);
  return count;
}

function drawUnitAt(image: ImageData, layer: LayerPicture, unit: number, x: number, y: number, across: number, colours: Colours): number {
  const [height, width, channels] = layer.shape;
  const inputs = height * width * channels;
  let count = 0;
  for (let i = 0; i < inputs; i++) {
    const weight = unit * inputs + i;
    if (!bit(layer.kept, weight)) continue;
    count++;
    const [px, py] = placeOf(layer, i, across);
    image.data.set([...(bit(layer.positive, weight) ? colours.plus : colours.minus), 255], 4 * ((y + py) * image.width + x + px));
  }
  return count;
}

/** Grey pixels 0 .. 255 as an image whose ink has the page's colour of ink. */
export function greyImage(pixels: Uint8Array, width: number, ink: Rgb): ImageData {
  const image = new ImageData(width, pixels.length / width);
  pixels.forEach((value, i) => {
    image.data.set([...ink, value], 4 * i);
  });
  return image;
}

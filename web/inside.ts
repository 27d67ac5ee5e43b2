// What a layer looks like under a mask: every unit as a tile of its inputs, and one of them large.

import { byId, grouped, percent } from './page.js';
import { coloursOf, drawLayer, drawUnit, fullest, tiling } from './pictures.js';
import type { LayerPicture } from './workbench.js';

export interface Inside {
  /** The layer that is looked at. */
  readonly layer: number;
  /** Offers the layers of another file, the first one selected. */
  offer(layers: readonly { readonly units: number }[]): void;
  show(picture: LayerPicture): void;
  /** Draws the same in the colours of now. */
  repaint(): void;
}

/** @param turn called when another layer is selected */
export function createInside(turn: () => void): Inside {
  const select = byId<HTMLSelectElement>('layer');
  const canvas = byId<HTMLCanvasElement>('layer-picture');
  const input = byId<HTMLInputElement>('unit');
  let picture: LayerPicture | null = null;
  /** The one that was selected; null: whichever keeps most. */
  let chosen: number | null = null;

  function draw(): void {
    if (!picture) return;
    const unit = chosen ?? fullest(picture);
    const colours = coloursOf(canvas);
    const all = picture.units * picture.shape.reduce((a, b) => a * b, 1);
    const keptWeights = drawLayer(canvas, picture, colours, unit);
    const keptHere = drawUnit(byId('unit-picture'), picture, unit, colours);
    const layerText = `${grouped(keptWeights)} of ${grouped(all)} weights kept, ${percent(keptWeights / all)}; one tile a unit, its inputs as an image. Select one.`;
    const unitText = `Unit ${unit + 1} keeps ${grouped(keptHere)} inputs: blue adds, orange subtracts.`;
    byId('layer-caption').textContent = layerText;
    byId('unit-caption').textContent = unitText;
    canvas.setAttribute('aria-label', layerText);
    byId('unit-picture').setAttribute('aria-label', unitText);
    input.max = String(picture.units);
    input.value = String(unit + 1);
  }

  function choose(unit: number): void {
    if (!picture || !Number.isInteger(unit) || unit < 0 || unit >= picture.units) return;
    chosen = unit;
    draw();
  }

  select.addEventListener('change', () => {
    chosen = null;
    turn();
  });
  input.addEventListener('input', () => choose(Number(input.value) - 1));
  canvas.addEventListener('click', (event) => {
    if (!picture) return;
    const { columns } = tiling(picture);
    const x = Math.floor((event.offsetX / canvas.clientWidth) * columns);
    const y = Math.floor((event.offsetY / canvas.clientHeight) * Math.ceil(picture.units / columns));
    choose(y * columns + Math.min(x, columns - 1));
  });

  return {
    get layer() {
      return Number(select.value);
    },
    offer(layers) {
      chosen = null;
      select.replaceChildren(...layers.map(({ units }, i) => new Option(`${i + 1}: ${units} units`, String(i))));
    },
    show(shown) {
      picture = shown;
      if (chosen !== null) chosen = Math.min(chosen, picture.units - 1);
      draw();
    },
    repaint: draw,
  };
}

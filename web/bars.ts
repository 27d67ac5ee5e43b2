// What a mask says of a digit, as a list: each class with a bar as long as its probability.

import type { Answer } from './open-files.js';
import { percent } from './page.js';

export const barsOf = (labels: readonly string[], { best, probabilities }: Answer): HTMLLIElement[] =>
  labels.map((label, i) => {
    const item = document.createElement('li');
    if (i === best) item.className = 'best';
    const bar = document.createElement('span');
    bar.style.width = `${100 * probabilities[i]}%`;
    const track = document.createElement('span');
    track.className = 'bar';
    track.append(bar);
    item.append(label, track, percent(probabilities[i]));
    return item;
  });

// The file's bytes beside the same network as float32, once for each of its tasks, drawn to scale: areas are bytes.

import type { FileAbout } from './open-files.js';
import { grouped } from './page.js';

/** Two squares whose areas are as the bytes, with counts beside them. */
export function drawnToScale({ fileBytes, headerBytes, weights, tasks }: FileAbout): string {
  const float32 = 4 * weights * tasks.length;
  const each = tasks.length > 1 ? `, for each of ${grouped(tasks.length)} tasks` : '';
  const side = 300;
  const small = side * Math.sqrt(fileBytes / float32);
  return `<svg viewBox="0 0 ${side + 2} ${side + 2}" aria-hidden="true">
<rect x="1" y="1" width="${side}" height="${side}" fill="none" stroke="currentColor" stroke-width="2"/>
<rect x="1" y="${1 + side - small}" width="${small}" height="${small}" fill="var(--plus)"/></svg>
<div><p><strong>This file: ${grouped(fileBytes)} bytes</strong>, ${grouped(fileBytes - headerBytes)} of them masks: the small square.</p>
<p>The ${grouped(weights)} weights as float32${each}: ${grouped(float32)} bytes, ${grouped(Math.round(float32 / fileBytes))} times as many: the large one.</p></div>`;
}

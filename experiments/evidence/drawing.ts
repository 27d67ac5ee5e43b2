// What draws charts: loaded where something is drawn, as it takes longer to load than most commands run.

import { optional } from '../optional.js';

/** @throws SeedmaskError (by rejection) no-package */
export const drawing = () => optional('drawing', '@observablehq/plot linkedom', () => import('./plot.js'));

// What the names of criteria and actions mean, for whoever reads a report and has not read the paper.

import { MASK0_VALUES, MASK1_VALUES } from '../../src/masks/actions.js';
import { CRITERION_SCORES } from '../../src/masks/criteria.js';
import { escaped } from './html.js';

const list = (title: string, meanings: Readonly<Record<string, string>>): string =>
  `<h3>${title}</h3><dl>${Object.entries(meanings)
    .map(([name, meaning]) => `<dt>${name}</dt><dd>${escaped(meaning)}</dd>`)
    .join('')}</dl>`;

/** As HTML. */
export const glossary = (): string =>
  [
    list('Criteria, by the score whose highest weights are kept (wi: initial value of a weight, wf: final value)', CRITERION_SCORES),
    list('Mask-0 actions: what a pruned weight becomes (ws: its value when the round began)', MASK0_VALUES),
    list('Mask-1 actions: what a kept weight restarts from', MASK1_VALUES),
  ].join('\n');

// What the names of criteria, actions and columns mean, for whoever reads a report and has not read the paper.

import { MASK0_VALUES, MASK1_VALUES } from '../../src/masks/actions.js';
import { CRITERION_SCORES } from '../../src/masks/criteria.js';
import { COLUMNS } from './columns.js';
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
    list(
      'Columns of the CSV files; rows, epochs and all else that a cell is made of stand in the JSON beside each',
      Object.fromEntries(COLUMNS.map(({ name, meaning, unit }) => [name, unit ? `${meaning} (${unit})` : meaning])),
    ),
  ].join('\n');

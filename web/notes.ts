// What is said in words of a network and the mask that was chosen; of the masks of this site, how many test digits they get right.

import recorded from './accuracies.json';
import type { Choice } from './choices.js';
import type { FileAbout } from './open-files.js';
import { grouped } from './page.js';

/** Shares of the test digits, by file and task; `shifted`: of the same, moved by up to 3 pixels (web/make-models.mjs). */
const ACCURACIES: Readonly<Record<string, { readonly test: number; readonly shifted?: number }>> = recorded;

const hundredths = (p: number): string => `${(100 * p).toFixed(2)} %`;

export function noteOf({ name, about }: { readonly name: string; readonly about: FileAbout }, choice: Choice): string {
  const task = typeof choice === 'number' ? about.tasks[choice] : null;
  const parts = [`One network for all of them: ${about.network}, ${grouped(about.weights)} weights from seed ${about.seed}.`];
  if (task) parts.push(`This mask keeps ${grouped(task.kept)} of them.`);
  const accuracy = task && ACCURACIES[`${name}.smk ${task.id}`.trim()];
  if (accuracy) {
    const { test, shifted } = accuracy;
    const moved = shifted ? `, and ${hundredths(shifted)} when they are moved by up to 3 pixels` : '';
    parts.push(`It gets ${hundredths(test)} of 10,000 test digits right${moved}.`);
  }
  if (task?.order) parts.push('It was learned on shuffled pixels: feed them in with the choice above.');
  if (task?.renamed) parts.push('It was learned with the classes renamed at random: it knows the digit by another name.');
  return parts.join(' ');
}

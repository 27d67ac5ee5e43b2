// The buttons of the masks: made anew with the file, afterwards only what they say changes.

import { type Choice, choicesOf } from './choices.js';
import type { Answer, FileAbout } from './open-files.js';
import { button, byId, grouped, percent } from './page.js';

const NAMES: Record<'bare' | 'random', string> = { bare: 'no mask', random: 'a random mask' };

/** @param choose called with the mask whose button was pressed */
export function drawMasks(
  { name, about }: { readonly name: string; readonly about: FileAbout },
  { choice: chosen, answers }: { readonly choice: Choice; readonly answers: readonly Answer[] },
  choose: (choice: Choice) => void,
): void {
  const choices = choicesOf(about.tasks.length);
  const group = byId('masks');
  if (group.childElementCount !== choices.length || group.getAttribute('data-file') !== String(about.file)) {
    group.setAttribute('data-file', String(about.file));
    group.replaceChildren(
      ...choices.map((choice) => {
        const made = button('', false, () => choose(choice));
        const task = typeof choice === 'number' ? about.tasks[choice] : null;
        const size = task ? `${grouped(task.payloadBytes)} bytes` : choice === 'bare' ? 'every weight kept' : 'as many kept, anywhere';
        for (const [className, text] of [
          ['name', task ? task.id || name : NAMES[choice as 'bare' | 'random']],
          ['says', ''],
          ['soft', size],
        ]) {
          const line = document.createElement('span');
          line.className = className;
          line.textContent = text;
          made.append(line);
        }
        return made;
      }),
    );
  }
  choices.forEach((choice, i) => {
    const made = group.children[i];
    const answer = answers[i] as Answer | undefined;
    const { labels } = about.tasks[typeof choice === 'number' ? choice : 0];
    made.setAttribute('aria-pressed', String(choice === chosen));
    made.children[1].textContent = answer
      ? `${labels[answer.best]} · ${percent(answer.probabilities[answer.best]).replace(' ', '\u00a0')}`
      : '…';
  });
}

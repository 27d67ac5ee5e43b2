// The page: a digit, the masks that look at it, and what they say. One state, and one function for each part that shows it.

import * as Comlink from 'comlink';
import { barsOf } from './bars.js';
import { type Choice, choicesOf } from './choices.js';
import { rasterise, SIDE } from './digit.js';
import { createInside } from './inside.js';
import { checkFileBytes } from './limits.js';
import { drawMasks } from './masks.js';
import { noteOf } from './notes.js';
import type { Answer, FileAbout, TaskAbout } from './open-files.js';
import { createPad } from './pad.js';
import { button, byId, fetched, grouped, notice, said } from './page.js';
import { coloursOf, greyImage } from './pictures.js';
import { drawnToScale } from './scale.js';
import { bytesOf, isLink, LINK_LIMIT, linkOf } from './share.js';
import { wireTraining } from './training.js';
import { createWishes } from './wishes.js';
import type { Service } from './worker.js';

interface Shown {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly about: FileAbout;
}

/** The thread that was started while this script was on its way (vite.config.mjs), or one of our own. */
const begun: unknown = Reflect.get(globalThis, 'seedmaskWorker');
const thread = begun instanceof Worker ? begun : new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
const broken = ({ message }: Partial<ErrorEvent>) => notice(message || 'a part of this page could not be loaded; load it again');
thread.addEventListener('error', broken);
const worker = Comlink.wrap<Service>(thread);

/** Files of this site, opened when they are asked for. */
const SHIPPED = [
  { name: 'digits', title: 'Digits, on a convolutional network (LeNet-5)', url: './models/digits.smk' },
  { name: 'tasks', title: 'Many masks on one network', url: './models/tasks.smk' },
] as const;
const isShipped = (name: string): boolean => SHIPPED.some((one) => one.name === name);

const state: {
  digit: Uint8Array;
  files: Map<string, Shown>;
  shown: Shown | null;
  choice: Choice;
  /** Task whose order of pixels is fed in, or null: upright. */
  feed: number | null;
  answers: Answer[];
} = { digit: new Uint8Array(SIDE * SIDE), files: new Map(), shown: null, choice: 0, feed: null, answers: [] };
const wishes = createWishes();

/** Runs what a user asked for; a failure is one line on the page. */
async function attempt(action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    notice(said(error));
  }
}

// ---- the digit and its answers ----

/** The pixels that go in: the digit in the order of the task that feeds it. */
function fed(): Uint8Array {
  const order = state.feed === null ? null : (state.shown?.about.tasks[state.feed].order ?? null);
  return order ? Uint8Array.from(order, (from) => state.digit[from]) : state.digit;
}

let busy = false;
let again = false;

/** Asks every mask about the digit; while an answer is on its way only the latest digit waits, of whichever file is shown then. */
async function ask(): Promise<void> {
  showFed();
  again = busy;
  if (busy || !state.shown) return;
  busy = true;
  try {
    do {
      again = false;
      const { file } = state.shown.about;
      // The first time masks are compiled as well.
      const compiled = state.answers.length > 1;
      const started = performance.now();
      const answers = await worker.everywhere(file, fed()).catch((error: unknown) => {
        // What waits is asked all the same, and says so itself if it fails.
        if (!again && state.shown?.about.file === file) throw error;
      });
      if (state.shown.about.file !== file) again = true;
      else if (answers) {
        state.answers = answers;
        const each = ((performance.now() - started) / answers.length).toFixed(2);
        showAnswer();
        if (compiled) byId('timing').textContent = `${each} ms a mask, on this machine`;
        showMasks();
      }
    } while (again);
  } finally {
    busy = false;
  }
}

/** The chosen mask, which is compiled already, answers before the others are. */
async function askOne(): Promise<void> {
  const { shown, choice } = state;
  const answer = await worker.classify(shown!.about.file, choice, fed());
  if (state.shown !== shown || state.choice !== choice) return;
  state.answers[place(choice)] = answer;
  showAnswer();
  // Until here bench/web.mjs measures.
  performance.mark('answered');
}

function showFed(): void {
  const canvas = byId<HTMLCanvasElement>('fed');
  canvas.getContext('2d')!.putImageData(greyImage(fed(), SIDE, coloursOf(canvas).ink), 0, 0);
}

const taskOf = (choice: Choice): TaskAbout => state.shown!.about.tasks[typeof choice === 'number' ? choice : 0];
const place = (choice: Choice): number => choicesOf(state.shown!.about.tasks.length).indexOf(choice);

/** Nothing where the mask has not answered yet. */
function showAnswer(): void {
  const answer: Answer | undefined = state.answers[place(state.choice)];
  const { labels } = taskOf(state.choice);
  byId('answer').textContent = answer ? labels[answer.best] : '';
  byId('bars').replaceChildren(...(answer ? barsOf(labels, answer) : []));
}

// ---- masks and files ----

const showMasks = (): void => drawMasks(state.shown!, state, choose);

function showFiles(): void {
  const others = [...state.files.keys()].filter((name) => !isShipped(name));
  const group = byId('files');
  const focused = group.contains(document.activeElement) ? document.activeElement?.textContent : null;
  group.replaceChildren(
    ...SHIPPED.map(({ name, title, url }) => button(title, state.shown?.name === name, () => void attempt(() => openShipped(name, url)))),
    ...others.map((name) => button(name, state.shown?.name === name, () => void attempt(() => reopen(state.files.get(name)!)))),
  );
  [...group.querySelectorAll('button')].find((made) => made.textContent === focused)?.focus();
}

/** What may be fed in: upright, and the order of pixels of every task that has one. */
function showFeeds(): void {
  const { about, name } = state.shown!;
  const group = byId('feeds');
  const options = [null, ...about.tasks.flatMap((task, i) => (task.order ? [i] : []))];
  group.replaceChildren(group.firstElementChild!);
  for (const task of options) {
    const label = document.createElement('label');
    const radio = document.createElement('input');
    radio.type = 'radio';
    radio.name = 'feed';
    radio.checked = state.feed === task;
    radio.style.minHeight = '0';
    radio.addEventListener('change', () => {
      state.feed = task;
      void attempt(ask);
    });
    label.append(radio, ' ', task === null ? 'as drawn' : about.tasks[task].id || name);
    group.append(label);
  }
}

function choose(choice: Choice): void {
  state.choice = choice;
  showAnswer();
  if (!state.answers[place(choice)]) void attempt(askOne);
  showMasks();
  byId('task-note').textContent = noteOf(state.shown!, state.choice);
  void attempt(showInside);
}

/** Numbers what a visitor asks for, before anything is read. What the page said of earlier wishes goes. */
function wished(): number {
  notice('');
  return wishes.make();
}

async function openShipped(name: string, url: string, wish = wished()): Promise<void> {
  const known = state.files.get(name);
  if (known) return reopen(known, wish);
  const ahead = name === SHIPPED[0].name ? await worker.ahead() : null;
  if (ahead) return hold({ name, ...ahead }, wish);
  if (wishes.isLast(wish)) notice(`Opening ${name} …`);
  await openBytes(name, await fetched(url), wish);
}

async function openBytes(name: string, bytes: Uint8Array, wish = wished()): Promise<void> {
  await hold({ name, bytes, about: await worker.open(bytes) }, wish);
}

async function reopen(shown: Shown, wish = wished()): Promise<void> {
  if (wishes.grant(wish)) await show(shown);
}

/** Files of a visitor that stay open; beyond, the oldest is forgotten. */
const HELD = 8;

/**
 * Keeps a file and shows it if its wish is granted; the worker forgets the one whose name it takes, and the oldest where there are too
 * many.
 */
async function hold(shown: Shown, wish: number): Promise<void> {
  const { files } = state;
  const replaced = files.get(shown.name);
  // What is shown stays: a file of its name that was asked for before it, or one of the site that was asked for twice.
  const again = wishes.isLate(wish) || isShipped(shown.name);
  if (replaced && replaced === state.shown && replaced.about.file !== shown.about.file && again) {
    wishes.grant(wish);
    if (wishes.areGranted()) notice('');
    return worker.close(shown.about.file);
  }
  files.delete(shown.name);
  files.set(shown.name, shown);
  const own = [...files.values()].filter(({ name }) => !isShipped(name));
  const oldest = own.slice(0, Math.max(0, own.length - HELD));
  for (const { name } of oldest) files.delete(name);
  // A file that was opened ahead may come twice.
  const gone = (replaced ? [replaced, ...oldest] : oldest).filter(({ about }) => about.file !== shown.about.file);
  if (wishes.grant(wish) || gone.some((one) => one === state.shown)) await show(shown);
  else showFiles();
  for (const { about } of gone) await worker.close(about.file);
}

async function show(shown: Shown): Promise<void> {
  // A later wish that is on its way, or has failed, has said so.
  if (wishes.areGranted()) notice('');
  Object.assign(state, { shown, choice: 0, feed: null, answers: [] });
  // From here on nothing on the page belongs to the file before.
  const answer = askOne();
  showAnswer();
  showFiles();
  showFeeds();
  byId('task-note').textContent = noteOf(state.shown!, state.choice);
  showMasks();
  byId('timing').textContent = '';
  const { about, bytes } = shown;
  inside.offer(about.layers);
  byId('scale').innerHTML = drawnToScale(about);
  const save = byId<HTMLAnchorElement>('save');
  URL.revokeObjectURL(save.href);
  save.href = URL.createObjectURL(new Blob([bytes.slice()]));
  save.download = `${shown.name}.smk`;
  byId<HTMLButtonElement>('share').disabled = bytes.length > LINK_LIMIT;
  await answer;
  if (state.shown !== shown) return;
  await ask();
  if (state.shown === shown) await showInside();
}

// ---- inside ----

async function showInside(): Promise<void> {
  const { shown, choice } = state;
  const picture = await worker.picture(shown!.about.file, choice, inside.layer);
  if (state.shown === shown && state.choice === choice) inside.show(picture);
}

// ---- wiring ----

const pad = createPad(byId('pad'), (strokes) => {
  state.digit = rasterise(strokes);
  void attempt(ask);
});
byId('clear').addEventListener('click', () => {
  pad.clear();
  state.digit = rasterise([]);
  void attempt(ask);
});
const inside = createInside(() => void attempt(showInside));

async function openFile(file: File): Promise<void> {
  const wish = wished();
  checkFileBytes(file.name, file.size);
  const stem = file.name.replace(/\.smk$/, '');
  // A visitor's file does not take the place of one of the site.
  const name = isShipped(stem) ? `${stem} of yours` : stem;
  await openBytes(name, new Uint8Array(await file.arrayBuffer()), wish);
  byId('masks-title').scrollIntoView();
}
byId<HTMLInputElement>('pick').addEventListener('change', (event) => {
  const input = event.target as HTMLInputElement;
  const [file] = input.files ?? [];
  if (file) void attempt(() => openFile(file));
  input.value = '';
});
document.addEventListener('dragover', (event) => event.preventDefault());
document.addEventListener('drop', (event) => {
  event.preventDefault();
  const file = event.dataTransfer?.files[0];
  if (file) void attempt(() => openFile(file));
});
byId('share').addEventListener('click', () => {
  void attempt(async () => {
    const link = linkOf(state.shown!.bytes, location.href);
    history.replaceState(null, '', link);
    // Over plain HTTP from another machine there is no clipboard.
    const copied = await (navigator.clipboard as Clipboard | undefined)?.writeText(link).then(
      () => true,
      () => false,
    );
    byId('shared').textContent =
      `A link of ${grouped(link.length)} characters is ${copied ? 'copied' : 'now in the address bar'}: it holds the model itself.`;
  });
});
wireTraining(openBytes);

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  pad.repaint();
  showFed();
  inside.repaint();
});

// ---- start ----

function showDigit(pixels: Uint8Array): void {
  state.digit = pixels;
  pad.show((ink) => greyImage(pixels, SIDE, ink));
  void attempt(ask);
}

/** Ten digits of the MNIST test set, 0 to 9, as raw pixels. */
async function loadExamples(): Promise<void> {
  const pixels = await fetched('./models/examples.bin');
  const digit = (i: number) => pixels.slice(i * SIDE * SIDE, (i + 1) * SIDE * SIDE);
  byId('examples').replaceChildren(
    ...Array.from({ length: 10 }, (_, i) => {
      const made = button(String(i), false, () => showDigit(digit(i)));
      made.removeAttribute('aria-pressed');
      made.setAttribute('aria-label', `Test digit ${i}`);
      return made;
    }),
  );
  if (state.digit.every((value) => value === 0)) showDigit(digit(3));
}

showFiles();
void attempt(loadExamples);

const LINKED = 'from the link';
/** Opens the model in the page's address; without one, or with a damaged one, which is said, the first of the site. */
async function openAddress(): Promise<void> {
  const wish = wished();
  const first = () => openShipped(SHIPPED[0].name, SHIPPED[0].url, wish);
  try {
    const shared = bytesOf(location.hash);
    await (shared ? openBytes(LINKED, shared, wish) : first());
  } catch (error) {
    if (!state.shown) await first();
    throw error;
  }
}
void attempt(openAddress);
addEventListener('hashchange', () => {
  // Back from a link there is the page as it begins; places on the page are no models.
  if (isLink(location.hash) || (location.hash === '' && state.shown?.name === LINKED)) void attempt(openAddress);
});
// The thread may have failed before this script was there.
const failed: unknown = Reflect.get(globalThis, 'seedmaskFailed');
if (failed instanceof Event) broken(failed);

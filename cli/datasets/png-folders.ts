// PNG files of one size, in a folder a class. Links count as what they lead to, names that begin with a dot not at all; an image of another
// kind, and a folder without images beside others, would be a class that is lost: they are refused.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_LIMITS, SeedmaskError } from '../../codec/index.js';
import { decodePng, hasColours, hasPngSignature } from '../../server/requests/png.js';
import type { Dataset } from '../../src/data.js';
import type { Shape } from '../../src/network.js';
import { readFile, reading, statusOf } from '../files.js';
import { checkClasses, inOrder, MAX_BYTES, MAX_CLASSES, type Parts, parted, placeOf, refuse, type Wanted } from './labelled.js';

/** train/CLASS/*.png and test/CLASS/*.png, or CLASS/*.png. */
export function pngFolders(folder: string, wanted: Wanted): Parts | null {
  const both = ['train', 'test'].map((part) => join(folder, part));
  if (both.every((part) => classesOf(part).length > 0)) {
    const [train, test] = both.map((part) => filesOf(part, classesOf(part)));
    return imagesOfBoth(train, test, wanted.labels ?? classesOf(both[0]), wanted);
  }
  const classes = classesOf(folder);
  if (classes.length === 0) return null;
  const { train, test } = parted(filesOf(folder, classes), ({ name }) => name);
  return { ...imagesOfBoth(train, test, wanted.labels ?? classes, wanted), drawn: true };
}

function imagesOfBoth(train: readonly Labelled[], test: readonly Labelled[], names: readonly string[], wanted: Wanted) {
  const all = [...train, ...test];
  const input: Shape = [...sizeOf(train[0].path), channelsOf(all, wanted)];
  const files = all.map(({ path }) => path);
  return { train: images(train, names, input, wanted), test: images(test, names, input, wanted), files };
}

interface Labelled {
  readonly path: string;
  readonly name: string;
}

const isPng = (file: string): boolean => file.toLowerCase().endsWith('.png');

const isOtherImage = (file: string): boolean => /\.(jpe?g|gif|bmp|webp|tiff?)$/i.test(file);

const namesIn = (folder: string): string[] => reading(folder, () => readdirSync(folder)).filter((name) => !name.startsWith('.'));

/** Folders that hold PNG files. */
function classesOf(folder: string): string[] {
  if (!statusOf(folder)?.isDirectory()) return [];
  const entries = namesIn(folder).map((name) => ({ name, status: statusOf(join(folder, name)) }));
  const held = new Map(entries.filter(({ status }) => status?.isDirectory()).map(({ name }) => [name, namesIn(join(folder, name))]));
  const names = [...held.keys()].filter((name) => held.get(name)?.some(isPng)).sort(inOrder);
  if (names.length === 0) return [];
  const lost = entries.find(({ status }) => status === undefined);
  if (lost) throw refuse(join(folder, lost.name), 'a link to nothing', 'a folder of PNG files');
  for (const [name, files] of held) {
    const other = files.find(isOtherImage);
    if (other !== undefined) throw refuse(join(folder, name, other), 'an image of another kind', 'PNG files: convert it');
    if (!files.some(isPng))
      throw refuse(join(folder, name), 'no PNG file', `PNG files, as ${names[0]} beside it holds, or another place for it`);
  }
  if (names.length > MAX_CLASSES) throw refuse(folder, `${names.length} folders of PNG files`, `at most ${MAX_CLASSES} classes`);
  checkClasses(folder, names);
  return names;
}

const filesOf = (folder: string, names: readonly string[]): Labelled[] =>
  names.flatMap((name) =>
    namesIn(join(folder, name))
      .filter(isPng)
      .sort()
      .map((file) => ({ path: join(folder, name, file), name })),
  );

function readPng(path: string): Uint8Array {
  const bytes = readFile(path, MAX_BYTES);
  if (!hasPngSignature(bytes)) throw refuse(path, 'it is no PNG file', 'a PNG image');
  return bytes;
}

/** Height and width of the first image, which all must have. */
function sizeOf(path: string): [height: number, width: number] {
  const bytes = readPng(path);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return [view.getUint32(20), view.getUint32(16)];
}

/** Those of the network, where it says so; else 3 where any image has colours: whoever writes PNG files writes grey ones as grey. */
const channelsOf = (files: readonly Labelled[], { channels }: Wanted): number =>
  channels === 1 || channels === 3 ? channels : files.some(({ path }) => ofImage(path, hasColours)) ? 3 : 1;

/** What is asked of the image in a file; what is wrong with it is said of the file. */
function ofImage<T>(path: string, ask: (bytes: Uint8Array) => T): T {
  try {
    return ask(readPng(path));
  } catch (error) {
    if (!(error instanceof SeedmaskError) || error.code !== 'bad-image') throw error;
    const { hint, ...details } = error.details;
    const own = details.field === 'width x height' ? 'All images must have the size of the first: resize them' : hint;
    throw new SeedmaskError('bad-image', { ...details, hint: own }, path);
  }
}

function images(files: readonly Labelled[], names: readonly string[], input: Shape, wanted: Wanted): Dataset {
  const width = input[0] * input[1] * input[2];
  const total = files.length * width;
  if (!(total <= DEFAULT_LIMITS.maxFileBytes)) {
    throw new SeedmaskError('over-limit', {
      field: `${files.length} images of ${input.join(' x ')}`,
      got: `${total} bytes`,
      expected: `${DEFAULT_LIMITS.maxFileBytes} bytes`,
    });
  }
  const values = new Uint8Array(total);
  const labels = Uint8Array.from(files, ({ path, name }, i) => {
    values.set(
      ofImage(path, (bytes) => decodePng(bytes, input)),
      i * width,
    );
    return placeOf(name, names, wanted, path);
  });
  return { input, images: values, labels, names };
}

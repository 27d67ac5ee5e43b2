// Options of commands that train: the steps, how training images are moved, and what a bit of the file is worth.

import { Option } from 'commander';
import { conv2, conv4, conv6, fc } from '../models/index.js';
import type { Dataset } from '../src/data.js';
import type { Architecture } from '../src/network.js';
import { isImage } from './datasets/fit.js';
import { RATE, SHIFT } from './learn.js';
import { degrees, notNegative, positive, positiveInteger, wholeNumber } from './options.js';

/** @param most the default, of as many rows as fill it eight times */
export const batchOption = (most: number): Option =>
  new Option('--batch <n>', `training rows of a step (default: ${most}, or an eighth of them where that is less)`).argParser(
    positiveInteger,
  );

/** @param own the default */
export const learningRateOption = (own: string): Option =>
  new Option('--learning-rate <x>', `how far a step goes (default: ${own})`).argParser(positive);

/** The learning rates of a recipe, in words. */
export const ratesOf = (recipe: (network: Architecture) => { readonly learningRate: number }): string => {
  const [dense, ...conv] = [fc, conv2, conv4, conv6].map((network) => recipe(network).learningRate);
  return `${dense} of fc, ${conv.join(' / ')} of conv2 / conv4 / conv6`;
};

/** @param others whose default is 0 as well */
export const shiftOption = (others = ''): Option =>
  new Option(
    '--shift <pixels>',
    `move training images by up to so many pixels, anew in every epoch (default: ${SHIFT}; 0 of permuted pixels${others} and of rows that are no images)`,
  ).argParser(wholeNumber);

/** Of images whose pixels are neighbours. */
export const defaultShift = ({ input }: Dataset, permuted: boolean): number => (isImage(input) && !permuted ? SHIFT : 0);

export const rotateOption = (): Option =>
  new Option('--rotate <degrees>', 'turn training images by up to so many degrees, anew in every epoch (default: 0)').argParser(degrees);

export const mirrorOption = (): Option =>
  new Option('--mirror', 'mirror a random half of the training images left to right, anew in every epoch: for photographs, not for digits');

export const rateOption = (): Option =>
  new Option(
    '--rate <x>',
    `price of a bit of the file in nats of training loss: more gives smaller files (topk; default: ${RATE})`,
  ).argParser(notNegative);

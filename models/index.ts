// The networks Seedmask ships by name, as pure data: LeNet-300-100 and the three VGG-like networks of Zhou et al. 2019,
// "Deconstructing Lottery Tickets" (table 1 there), and LeNet-5 as compression papers take it. A seed and a weight distribution make
// any of them a Network.
// The folder trained/ beside this file holds small real model files made from such definitions.

import type { Architecture, Layer } from '../src/network.js';

const dense = (units: number): Layer => ({ kind: 'dense', units, activation: 'relu' });
const logits = (units: number): Layer => ({ kind: 'dense', units, activation: 'linear' });
const conv = (filters: number): Layer => ({ kind: 'conv', filters, activation: 'relu' });

/** A 5x5 convolution without padding and a max-pool. */
const halving = (filters: number): Layer[] => [
  { kind: 'conv', filters, activation: 'relu', kernel: 5, padding: 'valid' },
  { kind: 'pool' },
];

/** Two convolutions and a max-pool. */
const block = (filters: number): Layer[] => [conv(filters), conv(filters), { kind: 'pool' }];
const head: Layer[] = [dense(256), dense(256), logits(10)];

/** 784-300-100-10 for 28x28 grey images: 266,200 weights. */
export const fc: Architecture = { input: [28, 28, 1], layers: [dense(300), dense(100), logits(10)] };

/** Two convolutions for 32x32 colour images: 4,300,992 weights. */
export const conv2: Architecture = { input: [32, 32, 3], layers: [...block(64), ...head] };

/** Four convolutions for 32x32 colour images: 2,425,024 weights. */
export const conv4: Architecture = { input: [32, 32, 3], layers: [...block(64), ...block(128), ...head] };

/** Six convolutions for 32x32 colour images: 2,261,184 weights. */
export const conv6: Architecture = { input: [32, 32, 3], layers: [...block(64), ...block(128), ...block(256), ...head] };

/**
 * LeNet-5 as Caffe has it (20 and 50 filters of 5x5, 500 hidden units) for 28x28 grey images: 430,500 weights, no biases. There is a
 * ReLU after its convolutions too, as in the networks that compression papers report; Caffe's own has one after the 500 units alone.
 */
export const lenet5: Architecture = { input: [28, 28, 1], layers: [...halving(20), ...halving(50), dense(500), logits(10)] };

// The page's bench answers as the server and `seedmask eval` do, for inputs declared constant too.

import { expect, test } from 'vitest';
import { readModel, writeModel } from '../codec/index.js';
import { asInputs } from '../src/data.js';
import { createReferenceEngine } from '../src/engine/reference.js';
import { inputs } from '../src/network.js';
import { Workbench } from '../web/workbench.js';
import { FC, randomMask, task } from './vectors/models.js';

test('inputs declared constant are replaced before the first layer', async () => {
  const constant = Uint8Array.from({ length: inputs(FC) / 8 }, (_, i) => (i < 49 ? 255 : 0));
  const transform = { scale: Math.fround(1 / 255), mean: 0, constant };
  const bytes = writeModel({
    network: FC,
    base: { kind: 'none' },
    tasks: [task(randomMask(FC, [0.1], { low: 1, high: 0 }), { transform })],
  });
  const image = Uint8Array.from({ length: inputs(FC) }, (_, i) => (i * 37) % 256);
  const engine = createReferenceEngine();
  const bench = new Workbench(engine);
  await bench.open(bytes);
  const classifier = engine.classifier(FC, { mask: readModel(bytes).tasks[0].mask, transform });
  const expected = classifier.logits(asInputs(image, { constant }, inputs(FC)), 1);
  expect(bench.logits(0, 0, image, 1)).toEqual(expected);
  expect(classifier.logits(image, 1)).not.toEqual(expected);
  expect(bench.classify(0, 0, image)).toEqual(bench.classify(0, 0, asInputs(image, { constant }, inputs(FC))));
});

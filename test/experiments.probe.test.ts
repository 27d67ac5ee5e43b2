// Probes of aged masks hold what must be equal by definition, whatever was trained.

import { expect, test } from 'vitest';
import { loadDataset } from '../cli/datasets/load.js';
import type { ProbeCell, Row } from '../experiments/cells/cell.js';
import { runCell } from '../experiments/cells/run.js';
import { createWasmEngine } from '../src/engine/wasm.js';
import { FORGETFUL } from './experiments.material.js';

const CELL: Omit<ProbeCell, 'criterion'> = {
  kind: 'probe',
  network: 'fc',
  seed: 3,
  rows: 900,
  validation: 200,
  test: 300,
  powers: [3],
  ages: [1, 2],
  learningRate: 1.2e-3,
};

const probe = async (criterion: ProbeCell['criterion']) => {
  const rows = await runCell(
    { ...CELL, criterion },
    {
      engine: await createWasmEngine({ threads: 1 }),
      shelf: FORGETFUL,
      data: loadDataset,
      progress: () => undefined,
    },
  );
  const at = (age: number, weights: string): Row => rows.find((row) => row['age'] === age && row['weights'] === weights)!;
  return { rows, at };
};
const scores = ({ valAccuracy, testAccuracy }: Row) => ({ valAccuracy, testAccuracy });

test('the youngest mask is no older than itself; training moves further with every epoch', async () => {
  const { rows, at } = await probe('large_final');
  expect(rows).toHaveLength(2 * 11);
  for (const layer of [1, 2, 3]) expect(scores(at(1, `young_${layer}`))).toEqual(scores(at(1, 'init')));
  expect(Number(at(2, 'init')['movement'])).toBeGreaterThan(Number(at(1, 'init')['movement']));
  // Large final weights were large from the beginning.
  expect(Number(at(1, 'init')['magnitude'])).toBeGreaterThan(1);
});

test('weights that kept their signs lose nothing by flips: initial and trained signs are the same', async () => {
  const { at } = await probe('large_final_same_sign');
  for (const age of [1, 2]) {
    expect(at(age, 'init')['flipped']).toBe(0);
    expect(scores(at(age, 'init_final_signs'))).toEqual(scores(at(age, 'init')));
    expect(scores(at(age, 'final_init_signs'))).toEqual(scores(at(age, 'final')));
    expect(scores(at(age, 'final_signs'))).toEqual(scores(at(age, 'constant')));
  }
});

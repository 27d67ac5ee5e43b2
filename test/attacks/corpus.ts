// Valid files that hostile ones are made of: every scheme, one task, several and none, masks alone, bases, and a page table.

import { type Limits, type Model, SCHEMES, type SchemeName, writeModel } from '../../codec/index.js';
import { fullMask, type Network } from '../../src/network.js';
import {
  ARCHIVE_MODEL,
  FEATURES_MODEL,
  NUMBERS_MODEL,
  RELATED_MODEL,
  RELATED_PACKED_MODEL,
  randomMask,
  SMALL_CONV,
  TINY,
  TINY_MODEL,
  task,
  WINDOWS_MODEL,
} from '../vectors/models.js';

/** What a reader of these may spend. */
export const LIMITS: Limits = { maxFileBytes: 1 << 16, maxWeights: 1 << 16, maxMaskWeights: 1 << 15, maxTasks: 1000 };

const VECTOR: Network = {
  ...TINY,
  input: [1, 1, 3],
  layers: [{ kind: 'dense', units: 4, activation: 'linear' }],
  distribution: 'signed-constant',
};
export const corpus: Uint8Array[] = (Object.keys(SCHEMES) as SchemeName[])
  .filter((name) => name !== 'related')
  .flatMap((scheme) =>
    [
      TINY_MODEL,
      ARCHIVE_MODEL,
      { network: VECTOR, tasks: [task(fullMask(VECTOR, true), { labels: ['a'] })] },
      {
        network: SMALL_CONV,
        tasks: ['a', 'b'].map((id, low) => task(randomMask(SMALL_CONV, [0.2, 0.7], { low, high: 0 }), { id })),
      },
      WINDOWS_MODEL,
      FEATURES_MODEL,
      NUMBERS_MODEL,
    ]
      .map((model: Model) => writeModel(model, { schemes: [scheme] }))
      .concat(writeModel(TINY_MODEL, { schemes: [scheme], maskOnly: true })),
  );
corpus.push(
  writeModel(RELATED_MODEL, { schemes: ['context', 'related'] }),
  writeModel(RELATED_PACKED_MODEL, { schemes: ['raw', 'related'] }),
);
corpus.push(writeModel({ network: SMALL_CONV, tasks: [] }), writeModel({ network: TINY, tasks: [] }));
/** With a page table, and longer than a first read; rare, as it is slow. */
export const paged = writeModel({
  network: VECTOR,
  tasks: Array.from({ length: 258 }, (_, i) =>
    task(randomMask(VECTOR, [0.5], { low: i, high: 0 }), { id: `task-number-${100 + i}`, labels: ['a'] }),
  ),
});

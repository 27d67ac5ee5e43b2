// The tests that mutants of codec/ are run against (stryker.config.json): the codec's own, with fewer cases, and without those that start
// Python or read thousands of files.

export default {
  test: {
    include: ['test/codec.*.test.ts'],
    exclude: ['test/codec.reader.test.ts', 'test/codec.fuzz.test.ts'],
    env: { SEEDMASK_SHORT: '1' },
    testTimeout: 60_000,
  },
};

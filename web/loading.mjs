// What a page loads at once, for both builds: no module of ours or of a library works by being imported, so what is not used stays out;
// and what undoes the deflate scheme is a file of its own.

export const loading = {
  treeshake: { moduleSideEffects: false },
  output: { codeSplitting: { groups: [{ name: 'inflate', test: /pako|codec.deflate/ }] } },
};

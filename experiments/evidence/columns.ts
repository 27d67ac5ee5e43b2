// What the columns of CSV files are: for the report, and for the table in experiments/README.md.

export interface Column {
  readonly name: string;
  readonly meaning: string;
  readonly unit?: string;
}

const FRACTION = 'fraction, 0 to 1';

export const COLUMNS: readonly Column[] = [
  { name: 'network', meaning: 'fc, conv2, conv4 or conv6 of the paper; of tasks the layers, as seedmask inspect prints them' },
  { name: 'seed', meaning: 'of the weights, the validation rows, the batch order and every other draw' },
  { name: 'valAccuracy', meaning: 'on validation rows: what choices are made by', unit: FRACTION },
  { name: 'testAccuracy', meaning: 'on test rows; of a learned mask that of the definite one', unit: FRACTION },
  { name: 'kept', meaning: 'weights kept, of all weights of the network; biases are not counted', unit: FRACTION },
  { name: 'criterion', meaning: 'by which weights are kept; none: no mask' },
  { name: 'mask0', meaning: 'what a pruned weight becomes' },
  { name: 'mask1', meaning: 'what a kept weight restarts from' },
  {
    name: 'round',
    meaning: "of pruning; 0 trains the whole network. How many of the paper's rounds one prunes at once: power in the JSON",
    unit: 'rounds',
  },
  {
    name: 'towardZero',
    meaning:
      'weights that training had moved toward zero. Of tickets: among those that this round prunes, by the training of the round before; of masks taken once: among all that are pruned',
    unit: FRACTION,
  },
  { name: 'age', meaning: 'training before the mask was taken, of trained all of it; 0: untrained', unit: 'epochs' },
  {
    name: 'weights',
    meaning:
      'what stands under the mask. init: initial weights; constant: signed constants; trained: trained weights and biases. Put together for early-masks-why: init_final_signs: initial magnitudes, trained signs; final_init_signs: trained magnitudes, initial signs; final_signs: constants, trained signs; final: trained weights, biases zero; init_centred: initial weights, fitted class offsets; young_N: initial weights, layer N (from 1) under the youngest mask of that level',
  },
  { name: 'power', meaning: "rounds of the paper's pruning that a mask taken once prunes at once; 0: no mask", unit: 'rounds' },
  {
    name: 'method',
    meaning: 'of learning. bernoulli: those of the paper; topk: ours; threshold: those of SupSup; dense: trained weights, no mask',
  },
  { name: 'rescale', meaning: "yes: with the paper's rescaling of weights" },
  { name: 'learningRate', meaning: 'of the training that the row is of' },
  { name: 'epochs', meaning: 'how long masks were learned, or weights trained beside them', unit: 'epochs' },
  { name: 'epoch', meaning: 'after which the definite mask was taken: the best on validation rows', unit: 'epochs' },
  { name: 'drawnValAccuracy', meaning: 'of bernoulli: mean over ten masks drawn after the last epoch, on validation rows', unit: FRACTION },
  { name: 'drawnTestAccuracy', meaning: 'the same on test rows: what the paper reports', unit: FRACTION },
  { name: 'drawnTestMin', meaning: 'the least of the ten on test rows', unit: FRACTION },
  { name: 'drawnTestMax', meaning: 'the greatest of them', unit: FRACTION },
  { name: 'movement', meaning: 'length of wf − wi over that of wi (initial values wi, trained ones wf), all weights' },
  { name: 'flipped', meaning: 'kept weights whose sign training has changed, of those kept', unit: FRACTION },
  { name: 'magnitude', meaning: 'mean magnitude of wi of the kept weights over that of all, mean over layers' },
  { name: 'layer', meaning: 'of a weight that figure-05 shows, from 0' },
  { name: 'index', meaning: 'of that weight in its layer, from 0' },
  { name: 'initial', meaning: 'wi, its initial value' },
  { name: 'final', meaning: 'wf, its final value' },
  {
    name: 'task',
    meaning:
      'name: p0007, c0007 and b0007-0007 are pixels, classes or both permuted by seed 7, others are views; from plain: learned from the mask of the plain digits',
  },
  {
    name: 'view',
    meaning: 'which images, what is done to them or asked about them, before anything is permuted; plain: digits as they are',
  },
  { name: 'pixels', meaning: 'seed of the permutation of pixels; empty: none' },
  { name: 'labels', meaning: 'seed of the permutation of classes; empty: none' },
  { name: 'density', meaning: 'kept fractions asked for, a layer each, the last for all further layers (topk)', unit: FRACTION },
  { name: 'bytes', meaning: 'of the mask in a model file; of dense four a weight', unit: 'bytes' },
  {
    name: 'wrongAccuracy',
    meaning: 'on test rows whose pixels are permuted by the next seed: what the mask was not made for',
    unit: FRACTION,
  },
  { name: 'base', meaning: 'view of the known mask beside it' },
  { name: 'start', meaning: 'base: learned from the known mask on; scratch: not' },
  {
    name: 'overlap',
    meaning: 'weights kept by both masks, of those kept by either: with the known mask, or of task and mask',
    unit: FRACTION,
  },
  { name: 'bytesOnBase', meaning: 'of the mask where it leans on the known one in a file', unit: 'bytes' },
  { name: 'mask', meaning: 'task whose mask the test rows of task are classified under' },
  { name: 'accuracy', meaning: 'on them', unit: FRACTION },
  { name: 'matched', meaning: 'the same, every class of the mask read as the label that it meets most often', unit: FRACTION },
  { name: 'seconds', meaning: 'that a task of permutations-1000 took, another beside it', unit: 's' },
  { name: 'tasks', meaning: 'in one served archive (this and all below: tasks-served, bench/tasks.mjs)', unit: 'tasks' },
  { name: 'megabytes', meaning: 'of the archive', unit: 'MB' },
  { name: 'answers', meaning: 'test digits that were asked about', unit: 'answers' },
  { name: 'right', meaning: 'right ones among them', unit: 'answers' },
  { name: 'different', meaning: "those unlike the engine's own to the last bit", unit: 'answers' },
  { name: 'rss', meaning: 'resident memory of the server', unit: 'MB' },
  { name: 'perSecond', meaning: 'requests of one image, mean over rounds', unit: '1/s' },
  { name: 'us', meaning: 'processor time of the server a request, mean over rounds', unit: 'µs' },
];

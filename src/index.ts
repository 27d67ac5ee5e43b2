// Seedmask's library: networks from seeds, masks, engines, training. Bytes are in seedmask/codec, HTTP in seedmask/server.
//
//   import { createWasmEngine, parseSeed } from 'seedmask';
//   import { readModel } from 'seedmask/codec';
//   const { network, tasks } = readModel(bytes);
//   const engine = await createWasmEngine();
//   const classifier = engine.classifier(network, { mask: tasks[0].mask });
//   const logits = classifier.logits(pixels, 1);       // Int32Array(10): exact, the same on every machine

export {
  DataError,
  type Dataset,
  datasetFromCifar,
  datasetFromIdx,
  epochOrder,
  imagesOf,
  labelsOf,
  parseIdx,
  type Split,
  split,
  toIdx,
} from './data.js';
export type {
  AdamOptions,
  AnyMask,
  BernoulliStepOptions,
  BernoulliTrainer,
  Classifier,
  ClassifierOptions,
  DenseStart,
  DenseTrainer,
  Engine,
  InputTransform,
  Moments,
  Scores,
  Selection,
  SgdOptions,
  TopkTrainer,
  Trainer,
  TrainingSet,
} from './engine/engine.js';
export { PIXELS, stepOf } from './engine/engine.js';
export { packedBytes, packMask, unpackMask } from './engine/packed.js';
export { createReferenceEngine } from './engine/reference.js';
export { createWasmEngine } from './engine/wasm.js';
export { accuracyOf, type Evaluation, evaluate, fitLogitScale, logitScaleOf } from './evaluate.js';
export { asInputs, type Features, featureBytes, standardFeatures } from './features.js';
export { actionConflict, MASK0, MASK0_VALUES, MASK1, MASK1_VALUES, type Mask0, type Mask1, restartBy, zeroedBy } from './masks/actions.js';
export { type Answers, type Asked, askAll, askSteps } from './masks/ask-all.js';
export { evenScores, likelierMask } from './masks/bernoulli.js';
export {
  CRITERIA,
  CRITERION_SCORES,
  type Criterion,
  criterionMask,
  criterionMaskOf,
  criterionScores,
  keepCounts,
  keepHighest,
  keepToward,
  nextKeep,
  paperPercents,
  paperRates,
  type WeightScore,
} from './masks/criteria.js';
export {
  createTaskInference,
  type InferMethod,
  type InferOptions,
  inferTask,
  type TaskGuess,
  type TaskInference,
} from './masks/infer-task.js';
export { RMSPROP, type RmspropOptions } from './masks/threshold.js';
export { densityAt, gainAt, initialScores, keepAt, selectionAt } from './masks/topk.js';
export {
  type Activation,
  type Architecture,
  checkMask,
  countKept,
  describe,
  fullMask,
  inputs,
  isSignedConstant,
  kept,
  type Layer,
  type Mask,
  type Network,
  outputs,
  type Parameters,
  type Placed,
  place,
  regenerate,
  type Shape,
  ShapeError,
  type SigmaRule,
  sigmaOf,
  totalKept,
  totalWeights,
  weightCounts,
  weighted,
  weightShapes,
} from './network.js';
export { argmax, softmax } from './probabilities.js';
export {
  DISTRIBUTIONS,
  type Distribution,
  DOMAIN,
  fillWeights,
  fillWords,
  formatSeed,
  parseSeed,
  permutation,
  type Seed,
} from './random.js';
export {
  BERNOULLI,
  bernoulliTraining,
  METHODS,
  type Method,
  maskNetwork,
  PAPER,
  paperTraining,
  TOPK,
  topkTraining,
  WEIGHTS,
  type Weights,
} from './recipes.js';
export { type Squeezed, type SqueezeOptions, type SqueezeProgress, squeeze } from './squeeze.js';
export { constantTwin, nextTicket, type TicketOptions, type TicketRound, ticketNetwork, tickets } from './tickets.js';
export {
  type BernoulliOptions,
  type BernoulliResult,
  type DenseOptions,
  type DenseResult,
  type DenseRun,
  type MaskResult,
  type MaskRun,
  type Rate,
  type ThresholdOptions,
  type TopkOptions,
  trainBernoulli,
  trainDense,
  trainThreshold,
  trainTopk,
} from './train.js';
export type { Progress, Resumable, TrainOptions } from './training-options.js';

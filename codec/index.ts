// The codec: model files to models and back. FORMAT.md is the norm; this is its reading in TypeScript, for Node and the browser.

export {
  type Base,
  contentId,
  DEFAULT_LIMITS,
  type FileInfo,
  inspectModel,
  type Limits,
  type Model,
  type NetworkLookup,
  readModel,
  type Task,
  type TaskInfo,
  writeModel,
} from './container.js';
export { ERRORS, type ErrorCode, type ErrorDetails, SeedmaskError } from './errors.js';
export { DIGITS, networkId, PIXELS_TRANSFORM, type Provenance, type Transform } from './header.js';
export { readSafetensors, type Tensor, type TensorFile, writeSafetensors } from './safetensors.js';
export { type LayerCount, SCHEMES, type SchemeName } from './schemes.js';

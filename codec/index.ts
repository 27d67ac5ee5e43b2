// The codec: model files to models and back. FORMAT.md is the norm; this is its reading in TypeScript, for Node and the browser.

export { type Archive, type ArchiveOptions, openArchive, type RangeRead } from './archive.js';
export { rebase } from './bases.js';
export {
  contentId,
  entropy,
  type FileInfo,
  inspectModel,
  type Model,
  type PackedModel,
  readModel,
  readPacked,
  type TaskInfo,
} from './container.js';
export { standAloneStored } from './encode.js';
export { ERRORS, type ErrorCode, type ErrorDetails, SeedmaskError } from './errors.js';
export { settleFreeBits } from './free.js';
export { DIGITS, networkId, PIXELS_TRANSFORM, type Provenance, type Transform } from './header.js';
export { checkSizes, DEFAULT_LIMITS, type Limits } from './limits.js';
export type { NetworkLookup } from './networks.js';
export { type MaskPrices, maskPrices } from './rate.js';
export { TASK_ID, TASK_ID_TEXT, type TaskHead } from './records.js';
export { readSafetensors, type Tensor, type TensorFile, writeSafetensors } from './safetensors.js';
export { type LayerCount, SCHEMES, type SchemeName } from './schemes.js';
export type { PackedTask, StoredTask, Task } from './tasks.js';
export { type Verified, verifyModel, type WriteOptions, writeModel, writePacked } from './write.js';

// Seedmask and other programs: tasks go out as ONNX, TensorFlow.js LayersModel, safetensors, NPZ and C; weights and masks come in.
//
//   import { toOnnx } from 'seedmask/interop';
//   const bytes = toOnnx(network, tasks[0]);

export { type CHeader, toC } from './c.js';
export type { ExportedTask } from './floats.js';
export { toLayersModel } from './layersmodel.js';
export { type LayersModelIndex, readLayersModel, readLayersModelIndex } from './layersmodel-reader.js';
export {
  type FileArray,
  LAYOUTS,
  type LayerTensors,
  type LayoutName,
  type NamedTensor,
  pickLayers,
  toMask,
  toParameters,
} from './layouts.js';
export { type NumpyArray, readNpz, writeNpz } from './npz.js';
export type { NumberArray, UnreadArray } from './numbers.js';
export { toOnnx } from './onnx.js';
export { readOnnxLayers } from './onnx-reader.js';
export { readTensors, readTexts } from './safetensors.js';
export { toNpz, toSafetensors } from './tensors.js';

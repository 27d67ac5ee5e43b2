// The WebAssembly engine against the reference engine, bit for bit, with one thread and with two.

import { createWasmEngine } from '../src/engine/wasm.js';
import { engineSuite } from './engine.suite.js';

engineSuite('wasm, 1 thread', () => createWasmEngine({ threads: 1 }), { conv: true });
engineSuite('wasm, 2 threads', () => createWasmEngine({ threads: 2 }), { conv: true });

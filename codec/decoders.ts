// The decoders of every scheme, ready at once. A page makes its own (web/open-files.ts), of the parts that its files need.

import { inflate } from '#inflate';
import { READER, READER_BYTES } from './kernel.js';
import { MaskReader } from './mask-reader.js';
import type { Decoders } from './schemes.js';

export const DECODERS: Decoders = { inflate, masks: new MaskReader(compiled()) };

function compiled(): WebAssembly.Module {
  const bytes = inflate(
    Uint8Array.from(atob(READER), (c) => c.charCodeAt(0)),
    READER_BYTES,
  );
  if (typeof bytes === 'string') throw new Error(`kernel.ts is damaged: ${bytes}`);
  return new WebAssembly.Module(bytes.slice());
}

// The zip that an .npz file is, opened: fflate inflates, and what it gives is held against the CRC-32 that the zip has of every file, with
// which fflate is not concerned. Without that a damaged file would be read as other numbers.

import { type UnzipFileInfo, unzipSync } from 'fflate';
import { crcBy } from '../codec/crc32c.js';
import { SeedmaskError } from '../codec/index.js';

/** As zips have it (APPNOTE.TXT 4.4.7). */
const crc32 = crcBy(0xedb88320);

/**
 * The files that are taken, by name.
 * @param take is told of every file before memory is taken for it
 * @throws SeedmaskError bad-checkpoint for what is no zip or is damaged; what `take` throws
 */
export function unzip(bytes: Uint8Array, take: (file: UnzipFileInfo) => boolean): ReadonlyMap<string, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const sums = new Map<string, number>();
  let files: Record<string, Uint8Array>;
  try {
    let at = directoryOf(view);
    // Files are asked about in the order of the directory.
    files = unzipSync(bytes, {
      filter: (file) => {
        sums.set(file.name, view.getUint32(at + 16, true));
        at += [28, 30, 32].reduce((length, field) => length + view.getUint16(at + field, true), 46);
        return take(file);
      },
    });
  } catch (error) {
    if (error instanceof SeedmaskError) throw error;
    throw new SeedmaskError('bad-checkpoint', { field: 'the .npz file', expected: 'a zip of .npy files', got: (error as Error).message });
  }
  const all = new Map(Object.entries(files));
  for (const [name, file] of all) {
    const [expected, got] = [sums.get(name), crc32(file)].map((sum) => `CRC-32 ${sum?.toString(16).padStart(8, '0')}`);
    if (got !== expected)
      throw new SeedmaskError('bad-checkpoint', { field: `${name} in the .npz file`, expected, got, hint: 'It is damaged: copy it again' });
  }
  return all;
}

/** Where the directory begins, as the record says that ends a zip before a comment of up to 64 KB (APPNOTE.TXT 4.3.16). */
function directoryOf(view: DataView): number {
  const last = view.byteLength - 22;
  for (let at = last; at >= Math.max(0, last - 0xffff); at--)
    if (view.getUint32(at, true) === 0x06054b50) {
      const begin = view.getUint32(at + 16, true);
      // Of a large zip (4.3.14, 4.3.15) a record before it says so, and that lies where the 20 bytes before this say.
      return begin === 0xffffffff ? Number(view.getBigUint64(Number(view.getBigUint64(at - 12, true)) + 48, true)) : begin;
    }
  throw new Error('no directory at its end');
}

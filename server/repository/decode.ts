// A stored mask becomes one ready for use: decoded, named by its content, packed. The slow part of loading a task (context scheme, FC:
// some 10 ms), so a server does it in a thread (thread.ts); without threads it happens here and now. So is writing a mask without the one
// that it leans on, which takes ten times as long.

import { DECODERS } from '../../codec/decoders.js';
import { hex } from '../../codec/hex.js';
import { contentId, type StoredTask, standAloneStored, writePacked } from '../../codec/index.js';
import { baseOfStored, decodeTask } from '../../codec/tasks.js';
import { packMask } from '../../src/engine/packed.js';
import type { Network } from '../../src/network.js';

/** A mask in memory. */
export interface Decoded {
  /** As `packMask` has it. */
  readonly packed: Uint8Array<ArrayBuffer>;
  /** Content id of a model of this one task, hex. */
  readonly id: string;
}

/** Where masks are decoded that nobody shall wait for: threads (running/threads.ts). */
export interface Decoder {
  /**
   * Decodes a stored mask.
   * @param place position in its file, for error texts
   * @param urgent whether someone waits for it: then it goes before all that are not
   * @throws SeedmaskError (by rejection) unknown-scheme, bad-payload, lost-worker
   */
  decode(network: Network, stored: StoredTask, place: number, urgent: boolean): Promise<Decoded>;
  /**
   * Writes a stored mask as `maskFile` does; someone waits for it.
   * @throws SeedmaskError (by rejection) unknown-scheme, bad-payload, lost-worker
   */
  maskFile(network: Network, stored: StoredTask, place: number): Promise<Uint8Array>;
}

/**
 * @param place position in its file, for error texts
 * @throws SeedmaskError unknown-scheme or bad-payload
 */
export function decodeMask(network: Network, stored: StoredTask, place: number): Decoded {
  const { leansOn: _, base: __, ...packed } = stored;
  const { task } = decodeTask(network, packed, place, baseOfStored(network, stored), DECODERS);
  const id = contentId({ network, tasks: [task] });
  return { packed: packMask(network, task.mask), id: hex(id) };
}

/**
 * A stored mask as a model file without its network, and without the mask that it leans on.
 * @param place position in its file, for error texts
 * @throws SeedmaskError unknown-scheme or bad-payload
 */
export function maskFile(network: Network, stored: StoredTask, place: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(writePacked({ network, tasks: [standAloneStored(network, stored, place)] }, { maskOnly: true }));
}

// What threads are told and what they tell: jobs, messages and replies, between threads.ts and thread.ts.

import type { SeedmaskError } from '../../codec/errors.js';
import type { StoredTask } from '../../codec/index.js';
import type { InputTransform } from '../../src/engine/engine.js';
import type { Network } from '../../src/network.js';
import type { Method } from '../requests/content.js';
import type { Reader, Reading } from '../requests/readers.js';
import type { Asking } from './guess.js';

/** Masks beside each other in memory that threads share. */
export interface MaskBlock extends Omit<Asking, 'masks'> {
  /** Another block has another one. */
  readonly key: number;
  readonly network: Network;
  readonly bytes: SharedArrayBuffer;
}

export type Job =
  | { readonly kind: 'decode'; readonly network: Network; readonly stored: StoredTask; readonly place: number }
  | { readonly kind: 'mask-file'; readonly network: Network; readonly stored: StoredTask; readonly place: number }
  | {
      readonly kind: 'logits';
      /** Names the task: another mask has another one. */
      readonly key: number;
      readonly network: Network;
      readonly packed: Uint8Array;
      readonly transform: InputTransform;
      readonly values: Uint8Array | Float32Array;
      readonly rows: number;
    }
  | { readonly kind: 'read'; readonly reader: Reader; readonly body: Uint8Array; readonly reading: Reading }
  | {
      readonly kind: 'infer-task';
      readonly values: Uint8Array | Float32Array;
      readonly rows: number;
      readonly method: Method;
      /** The key alone where the thread holds the block. */
      readonly block: MaskBlock | Pick<MaskBlock, 'key'>;
    };

/**
 * What a thread is told: a job, which it answers under its id; that the question of an id need not be answered any more; that a task's key
 * stands for nothing that is served; that the masks held for questions are not needed any more. It does one question at a time, and other
 * jobs in between.
 */
export type Message = { readonly id: number; readonly job: Job } | { readonly cancel: number } | { readonly drop: number } | 'forget';

export interface Logits {
  readonly logits: Int32Array | Float32Array;
  readonly outputs: number;
  /** Real value of one step of the logits. */
  readonly scale: number;
}

/** Answer of 'logits', with the milliseconds that the rows took. */
export interface TimedLogits extends Logits {
  readonly ms: number;
}

/** What comes back: a value, an expected failure, the text of another, or that a question is under way. */
export type Reply = { readonly id: number } & (
  | { readonly value: unknown }
  | { readonly code: SeedmaskError['code']; readonly details: SeedmaskError['details'] }
  | { readonly fault: string }
  | { readonly underWay: true }
);

// TensorFlow.js's Node binding, when the user has installed it: it is no dependency, as its installer downloads a native library.

import { createRequire } from 'node:module';
import { join } from 'node:path';
import { SeedmaskError } from '../codec/index.js';
import type { Engine } from '../src/engine/engine.js';
import { createTfjsEngine, type TensorFlow } from '../src/engine/tfjs.js';

const NAME = '@tensorflow/tfjs-node';
/** Node 23 took util.isNullOrUndefined away, which 4.22 and older call in every operation. */
const LAST_WITH_IT = 22;
const LAST_THAT_NEEDS_IT = [4, 22] as const;

/** Whether this version of the package cannot run on this version of Node. */
export function needsOlderNode(version: string, node: string): boolean {
  const [major, minor] = version.split('.').map(Number);
  const old = major < LAST_THAT_NEEDS_IT[0] || (major === LAST_THAT_NEEDS_IT[0] && minor <= LAST_THAT_NEEDS_IT[1]);
  return old && Number(node.split('.')[0]) > LAST_WITH_IT;
}

/** @throws SeedmaskError no-package when it is not installed, has no native library, or cannot run on this Node */
export function createTfjsNodeEngine(): Engine {
  const require = [import.meta.url, join(process.cwd(), 'package.json')].map(createRequire).find((one) => {
    try {
      one.resolve(`${NAME}/package.json`);
      return true;
    } catch {
      return false;
    }
  });
  const field = '--engine tfjs-node';
  if (!require) throw new SeedmaskError('no-package', { field, got: NAME, hint: `Install it where you work: npm install ${NAME}` });
  const { version } = require(`${NAME}/package.json`) as { version: string };
  if (needsOlderNode(version, process.versions.node)) {
    const hint = `${version} is, but fails on Node 23 and newer, and this is ${process.versions.node}: use Node 20 or 22`;
    throw new SeedmaskError('no-package', { field, got: `${NAME} in a version that runs on this Node`, hint });
  }
  try {
    return createTfjsEngine(require(NAME) as TensorFlow);
  } catch (error) {
    const [line] = (error as Error).message.split('\n');
    const hint = `Its native library is missing (${line.slice(0, 160)}): npm rebuild ${NAME}, with access to storage.googleapis.com`;
    throw new SeedmaskError('no-package', { field, got: `${NAME} with its native library`, hint });
  }
}

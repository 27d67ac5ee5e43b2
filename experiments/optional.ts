// Packages that only some commands need: loaded when one of them runs, and a clear line when they are not there.

import { SeedmaskError } from '../codec/index.js';

/**
 * @param purpose what needs the package
 * @param load its import, so that its types are known
 * @throws SeedmaskError no-package
 */
export async function optional<T>(purpose: string, name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new SeedmaskError('no-package', { field: purpose, got: name, hint: `Run: npm install ${name}` });
  }
}

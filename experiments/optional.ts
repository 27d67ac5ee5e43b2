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
    throw refused(error, purpose, name);
  }
}

/** The same of a package that is required, where nothing can wait. */
export function optionalNow<T>(purpose: string, name: string, load: () => T): T {
  try {
    return load();
  } catch (error) {
    throw refused(error, purpose, name);
  }
}

const refused = (error: unknown, purpose: string, name: string): unknown =>
  /^(ERR_)?MODULE_NOT_FOUND$/.test(String((error as NodeJS.ErrnoException).code))
    ? new SeedmaskError('no-package', { field: purpose, got: name, hint: `Run: npm install ${name}` })
    : error;

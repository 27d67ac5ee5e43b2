// The packed package as TypeScript and bundlers see it: publint reads its manifest, "are the types wrong" resolves every entry with its
// types under node16 and bundler resolution. CommonJS gets what ES modules are there (require of them works from Node 20.19 on).

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROOT } from './interop.material.js';

interface Publint {
  publint(options: {
    pack: { tarball: ArrayBuffer };
    level: 'warning';
  }): Promise<{ messages: readonly { code: string; path: string[] }[] }>;
}
interface TypesWrong {
  createPackageFromTarballData(tarball: Uint8Array): object;
  checkPackage(made: object): Promise<{
    types: unknown;
    entrypoints: Record<string, unknown>;
    problems: readonly { kind: string; entrypoint?: string; resolutionKind?: string }[];
  }>;
}

/** A module, or null and a word about it where it is not installed; CI has all. */
async function installed<T>(name: string): Promise<T | null> {
  try {
    return (await import(name)) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND' || process.env['CI']) throw error;
    console.warn(`the packed package is not checked by ${name}: it is not installed`);
    return null;
  }
}
const checks = { publint: await installed<Publint>('publint'), types: await installed<TypesWrong>('@arethetypeswrong/core') };

const folder = mkdtempSync(join(tmpdir(), 'seedmask-pack-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(!checks.publint && !checks.types)('the packed package', () => {
  let tarball: Uint8Array<ArrayBuffer>;
  beforeAll(() => {
    const words = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder];
    const [{ filename }] = JSON.parse(execFileSync('npm', words, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })) as [
      { filename: string },
    ];
    tarball = new Uint8Array(readFileSync(join(folder, filename)));
  }, 60_000);

  test.skipIf(!checks.publint)('publint finds nothing to warn of', async () => {
    const { messages } = await checks.publint!.publint({ pack: { tarball: tarball.buffer }, level: 'warning' });
    // publint takes the // of an address inside a text for the end of a line, and so misses the export behind it; the next test reads it.
    expect(messages.filter(({ code, path }) => code !== 'FILE_INVALID_FORMAT' || !path.includes('./browser'))).toEqual([]);
  });

  test.skipIf(!checks.types)('types resolve under node16 and bundler resolution, at every entry', async () => {
    const { types, entrypoints, problems } = await checks.types!.checkPackage(checks.types!.createPackageFromTarballData(tarball));
    expect(types).toBeTruthy();
    const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { exports: object };
    expect(Object.keys(entrypoints).sort()).toEqual(Object.keys(exports).sort());
    // node10 knows no exports; CJSResolvesToESM says that there are ES modules alone.
    expect(problems.filter(({ kind, resolutionKind }) => resolutionKind !== 'node10' && kind !== 'CJSResolvesToESM')).toEqual([]);
  });
});

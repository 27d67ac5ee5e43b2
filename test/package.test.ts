// The package as npm sees it: what `exports` promises exists after a build under its documented names, and `files` ships no proof.
// Runs on the built dist/, as `npm test` leaves it.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
  exports: Record<string, { default: string; types: string }>;
  imports: Record<string, Record<string, string>>;
  files: string[];
};

/** The names README.md and the headers of the index files use. */
const DOCUMENTED: Record<string, string[]> = {
  '.': ['createWasmEngine', 'createReferenceEngine', 'parseSeed', 'regenerate', 'criterionMask', 'trainTopk', 'trainDense', 'evaluate'],
  './codec': ['readModel', 'writeModel', 'inspectModel', 'verifyModel', 'openArchive', 'readPacked', 'writePacked', 'SeedmaskError'],
  './interop': ['toOnnx', 'toLayersModel', 'toSafetensors', 'toNpz', 'toC'],
  './tfjs': ['createTfjsEngine'],
  './models': ['fc', 'conv2', 'conv4', 'conv6'],
  './server': ['createApp', 'createHandler', 'listen', 'readKeys'],
  './browser': ['open'],
  './client': ['createClient', 'Client', 'RequestError'],
};

test('each entry of exports has the documented names', async () => {
  expect(Object.keys(manifest.exports).sort()).toEqual(Object.keys(DOCUMENTED).sort());
  for (const [entry, { default: file }] of Object.entries(manifest.exports)) {
    expect(Object.keys(await import(join(ROOT, file))), entry).toEqual(expect.arrayContaining(DOCUMENTED[entry]));
  }
});

test('both sides of package imports are built', () => {
  const sides = Object.values<Record<string, string>>(manifest.imports).flatMap((side) => Object.values(side));
  expect(sides.length).toBe(4);
  for (const file of sides) expect(existsSync(join(ROOT, file)), file).toBe(true);
});

test('files exist, and hold no tests, benchmarks or results', () => {
  for (const file of manifest.files.filter((name) => !name.startsWith('!'))) {
    expect(existsSync(join(ROOT, file)), file).toBe(true);
    expect(file).not.toMatch(/^(dist\/)?(test|bench|experiments\/results)\b/);
  }
  for (const folder of ['test', 'bench', 'experiments/results']) expect(existsSync(join(ROOT, 'dist', folder)), folder).toBe(false);
});

test('the dependency table of README is exactly package.json, in both directions', () => {
  const [, table] = /## Dependencies\n+([\s\S]*?)\n\n[^|]/.exec(readFileSync(join(ROOT, 'README.md'), 'utf8'))!;
  const listed = [...table.matchAll(/^\| `([^`]+)` \|/gm)].map((row) => row[1]);
  expect(listed.sort()).toEqual(Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies }).sort());
});

test('npm pack takes what users need and nothing else, in at most 1.5 MB', () => {
  const [{ size, files }] = JSON.parse(
    execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: ROOT,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  ) as [{ size: number; files: { path: string }[] }];
  const paths = files.map(({ path }) => path);
  expect(size).toBeLessThan(1.5e6);
  expect(
    paths.filter(
      (path) =>
        !/^(LICENSE|README\.md|package\.json|client\/client\.py|codec\/(FORMAT\.md|reader\w*\.py)|models\/trained\/[\w.-]+|dist\/.*)$/.test(
          path,
        ),
    ),
  ).toEqual([]);
  expect(paths.filter((path) => /\.map$|(^|\/)(test|bench|results)\/|\.test\.|(?<!\.d)\.ts$/.test(path))).toEqual([]);
  for (const { default: file, types } of Object.values(manifest.exports))
    expect(paths).toEqual(expect.arrayContaining([file.slice(2), types.slice(2)]));
  expect(paths).toEqual(expect.arrayContaining(['dist/cli/main.js', 'models/trained/mnist.smk', 'codec/FORMAT.md']));
});

// The package as npm sees it: what `exports` promises exists after a build under its documented names, and `files` ships no proof.
// Runs on the built dist/, as `npm test` leaves it.

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
  exports: Record<string, { default: string; types: string } | string>;
  imports: Record<string, Record<string, string>>;
  bin: { seedmask: string };
  files: string[];
};

type Entry = { default: string; types: string };
/** Entries that are modules; the others are files as they are. */
const modules = Object.entries(manifest.exports).filter((entry): entry is [string, Entry] => typeof entry[1] !== 'string');

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
  expect(modules.map(([entry]) => entry).sort()).toEqual(Object.keys(DOCUMENTED).sort());
  for (const [entry, { default: file }] of modules) {
    expect(Object.keys(await import(join(ROOT, file))), entry).toEqual(expect.arrayContaining(DOCUMENTED[entry]));
  }
});

test('the program begins with its interpreter, and every dependency runs on Node 20', () => {
  expect(readFileSync(join(ROOT, manifest.bin.seedmask), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  for (const name of Object.keys(manifest.dependencies)) {
    const { engines } = JSON.parse(readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8')) as {
      engines?: { node?: string };
    };
    const [, least] = /(\d+)/.exec(engines?.node ?? '0')!;
    expect(Number(least), name).toBeLessThanOrEqual(20);
  }
});

test('the shipped models and the manifest are found by the name of the package', () => {
  for (const file of ['models/trained/mnist.smk', 'package.json'])
    expect(createRequire(import.meta.url).resolve(`seedmask/${file}`)).toBe(join(ROOT, file));
});

test('packages whose types our declarations name bring them along', () => {
  const declarations = readdirSync(join(ROOT, 'dist/server'), { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.d.ts'),
  );
  const named = declarations.flatMap((file) => [
    ...readFileSync(join(ROOT, 'dist/server', file), 'utf8').matchAll(/from '([a-z@][^'.:]*)'/g),
  ]);
  const apart = [...new Set(named.map(([, name]) => `@types/${name}`))].filter((types) => existsSync(join(ROOT, 'node_modules', types)));
  expect(apart).toContain('@types/express');
  expect(Object.keys(manifest.dependencies)).toEqual(expect.arrayContaining(apart));
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
  for (const [, { default: file, types }] of modules) expect(paths).toEqual(expect.arrayContaining([file.slice(2), types.slice(2)]));
  expect(paths).toEqual(expect.arrayContaining(['dist/cli/main.js', 'models/trained/mnist.smk', 'codec/FORMAT.md']));
});

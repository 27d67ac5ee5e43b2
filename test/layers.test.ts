// The rules of the layout (CONTRIBUTING.md): imports go one way, files hold one idea, nothing is a drawer.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const FOLDERS = ['src', 'codec', 'server', 'client', 'models', 'experiments', 'interop', 'web', 'cli'];
const walk = (folder: string): string[] =>
  readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? walk(path) : [path];
  });
const files = FOLDERS.flatMap((folder) => walk(join(ROOT, folder)))
  .map((path) => relative(ROOT, path))
  .filter((path) => path.endsWith('.ts') && !/^(src\/engine\/kernels.*|codec\/kernel)\.ts$/.test(path));

/** What a place may import, by its path's beginning; the first row that fits counts. */
const RULES: [place: string, allowed: RegExp][] = [
  ['src/engine/assembly/', /^src\/engine\/assembly\//],
  ['src/exact.ts', /^$/],
  ['src/spelling.ts', /^$/],
  ['src/random.ts', /^src\/exact/],
  ['src/network.ts', /^src\/random/],
  ['src/features.ts', /^$/],
  ['src/data.ts', /^src\/(random|network|features)/],
  ['src/engine/wasm/', /^src\/(exact|random|network|engine\/(wasm\/|engine|bounds|checks|draws|packed))/],
  ['src/engine/', /^src\/(exact|random|network|engine\/)/],
  ['src/probabilities.ts', /^src\/exact/],
  ['src/evaluate.ts', /^src\/(exact|network|data|probabilities|engine\/engine)/],
  ['src/masks/', /^src\/(exact|random|network|spelling|engine|masks)/],
  ['src/', /^src\//],
  ['codec/assembly/', /^(codec|src\/engine)\/assembly\//],
  ['codec/', /^(codec\/|src\/(exact|random|network|data|features)\.)/],
  ['models/', /^src\//],
  ['server/requests/', /^(server\/requests\/|src\/|codec\/)/],
  ['server/running/', /^(server\/(running|requests|repository|answer)|src\/|codec\/)/],
  ['server/repository/', /^(server\/(repository|requests)|src\/|codec\/)/],
  ['server/', /^(server|src|codec|models)\//],
  ['client/', /^client\/|^codec\/(errors|one-line)/],
  ['web/', /^(web|src|codec|models)\//],
  ['experiments/cells/', /^(experiments\/(cells\/|statistics|optional)|src\/|codec\/|models\/)/],
  ['experiments/evidence/', /^(experiments\/(evidence|cells)\/|experiments\/(statistics|optional)|src\/)/],
  ['experiments/figures/', /^(experiments\/(figures|evidence|cells)\/|experiments\/statistics|src\/|codec\/|models\/)/],
  ['experiments/sweep/', /^(experiments\/(sweep|evidence|cells)\/|experiments\/optional|codec\/)/],
  ['experiments/', /^(experiments|codec)\//],
  ['interop/', /^(interop|src|codec)\//],
  ['cli/commands/', /^(cli\/(?!commands\/)|(experiments|interop|server|src|codec|models)\/)/],
  ['cli/datasets/', /^(cli\/(datasets\/|files|options)|(interop|server|src|codec)\/)/],
  ['cli/', /^(cli|experiments|interop|server|src|codec|models)\//],
];

interface Import {
  readonly at: string;
  readonly target: string;
  readonly typeOnly: boolean;
}

const resolveFrom = (file: string, specifier: string) => (specifier.startsWith('.') ? join(dirname(file), specifier) : specifier);

function importsOf(file: string): Import[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  // Static and re-exports, then imports for effect and import('...') calls.
  const statements = /^(?:import|export)\s+(type\s)?[^;]*?from\s+'([^']+)'|(?:^import\s+|\bimport\()'([^']+)'/gms;
  return [...text.matchAll(statements)].map((match) => ({
    at: `${file}:${text.slice(0, match.index).split('\n').length}`,
    target: resolveFrom(file, match[2] ?? match[3]),
    typeOnly: match[1] !== undefined,
  }));
}

test('imports go one way', () => {
  expect(files.length).toBeGreaterThan(30);
  const wrong = files.flatMap((file) => {
    const allowed = RULES.find(([place]) => file.startsWith(place))![1];
    const own = (target: string) =>
      FOLDERS.some((folder) => target.startsWith(`${folder}/`)) || /^(test|bench|web|experiments)\//.test(target);
    return importsOf(file)
      .filter(({ target }) => own(target) && !allowed.test(target))
      .map(({ at, target }) => `${at} imports ${target}`);
  });
  expect(wrong).toEqual([]);
});

/** The files from `file` back to itself by imports, types' too, or null where they lead to none. */
function circleOf(file: string, imports: ReadonlyMap<string, readonly string[]>): string[] | null {
  const ways = (imports.get(file) ?? []).map((target) => [file, target]);
  const seen = new Set<string>();
  for (const way of ways) {
    const last = way[way.length - 1];
    if (last === file) return way;
    if (seen.has(last)) continue;
    seen.add(last);
    for (const target of imports.get(last) ?? []) ways.push([...way, target]);
  }
  return null;
}

test("no file needs itself: imports, types' too, form no circles", () => {
  const imports = new Map(files.map((file) => [file, importsOf(file).map(({ target }) => target.replace(/\.js$|(?<!\.ts)$/, '.ts'))]));
  // The kernels' own language names its files without an end.
  expect(imports.get('server/repository/store.ts')).toContain('server/repository/masks.ts');
  expect(imports.get('src/engine/assembly/draws.ts')).toContain('src/engine/assembly/rule.ts');
  expect(
    circleOf(
      'a.ts',
      new Map([
        ['a.ts', ['b.ts']],
        ['b.ts', ['c.ts', 'a.ts']],
      ]),
    ),
  ).toEqual(['a.ts', 'b.ts', 'a.ts']); // prettier-ignore
  const circles = files.flatMap((file) => circleOf(file, imports)?.join(' -> ') ?? []);
  expect(circles).toEqual([]);
});

test('models are pure data: only types come from src', () => {
  const wrong = files.filter((file) => file.startsWith('models/')).flatMap((file) => importsOf(file).filter((i) => !i.typeOnly));
  expect(wrong).toEqual([]);
});

test('src, codec, client and interop run in a browser: no node modules outside the Node side of package imports', () => {
  const wrong = files
    .filter((file) => /^(src|codec|client|interop)\//.test(file) && !file.endsWith('.node.ts'))
    .flatMap((file) => importsOf(file).filter(({ target }) => target.startsWith('node:')));
  expect(wrong).toEqual([]);
});

test('files open with their idea, stay under 400 lines and three levels, and none is a drawer', () => {
  for (const file of files) {
    const text = readFileSync(join(ROOT, file), 'utf8');
    expect(text, file).toMatch(/^(#!.*\n)?\/\/ /);
    expect(text.split('\n').length, `${file} has too many lines`).toBeLessThanOrEqual(401);
    expect(file).not.toMatch(/(utils|types|helpers)\.ts$/);
    expect(file.split('/').length, `${file} lies too deep`).toBeLessThanOrEqual(4);
    expect(text, `${file} has a default export`).not.toMatch(/^export default /m);
  }
});

// seedmask verify: every check that there is, of one file after the other, up to the first that fails.

import { Command } from 'commander';
import { hex } from '../../codec/hex.js';
import { networkId, SCHEMES, type SchemeName, type Verified, verifyModel } from '../../codec/index.js';
import { describe } from '../../src/network.js';
import { readFile } from '../files.js';
import { inFile, LIMITS, networkFileOption, networksOf } from '../models.js';
import { counted, type Output, outputOf } from '../options.js';
import { counting } from '../progress.js';

/** What `verifyModel` has checked when it returns. */
const CHECKS = [
  'magic, version and flags',
  'header: CRC, types, its one spelling',
  'limits',
  'weights regenerated here against their CRC, or against the id of the network',
  'lengths that add up to the file',
  'index: CRC of every page and task, ids in order, entries in range',
  'payloads: decoded, and the kept counts they state',
  'payloads: encoded again to the same bytes',
  'file: written again to the same bytes',
] as const;

interface Options extends Output {
  network?: string;
}

export function makeCommand(): Command {
  return new Command('verify')
    .argument('<files...>', 'model files (.smk)')
    .addOption(networkFileOption())
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  seedmask verify models/trained/*.smk
  seedmask verify masks/*.smk --network network.smk --json

Exit 0: all files are sound. Exit 1: the first that is not, in one line.`,
    )
    .action(run);
}

async function run(files: readonly string[], options: Options): Promise<void> {
  const networks = await networksOf(options.network, files);
  const found: { readonly file: string; readonly verified: Verified }[] = [];
  for (const file of files) {
    const bytes = readFile(file);
    const verified = await counting(`verify ${file}`, options.json === true, (update) =>
      inFile(file, () => verifyModel(bytes, LIMITS, networks, update)),
    );
    found.push({ file, verified });
  }
  const value = found.map(({ file, verified: { network, maskOnly, contentId, ...counts } }) => ({
    file,
    ...counts,
    network: describe(network),
    networkId: hex(networkId(network)),
    maskOnly,
    contentId: hex(contentId),
  }));
  outputOf(options).print({ checks: CHECKS, files: value }, () =>
    [
      `Checked in every file: ${CHECKS.join('; ')}.`,
      ...value.map(
        (v) =>
          `${v.file}: sound, ${v.fileBytes.toLocaleString('en')} bytes, ${v.network}, ${tasks(v.tasks, v.schemes, v.foreignDeflate)}, content ${v.contentId}`,
      ),
    ].join('\n'),
  );
}

function tasks(count: number, schemes: Readonly<Record<SchemeName, number>>, foreign: number): string {
  if (count === 0) return 'network only';
  const by = (Object.keys(SCHEMES) as SchemeName[]).filter((name) => schemes[name]).map((name) => `${schemes[name]} ${name}`);
  const note = foreign ? `; ${counted(foreign, 'deflate stream')} of another compressor, valid` : '';
  return `${counted(count, 'task')} (${by.join(', ')}${note})`;
}

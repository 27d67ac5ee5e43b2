// The soak of bench/soak.mjs, twenty seconds of it: kills, swaps, slow and hostile clients, and nothing wrong or lost.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { hasNginx } from '../bench/fleet.mjs';

const NGINX = hasNginx();
if (!NGINX) console.warn('nginx is not installed: the soak is skipped');

test.skipIf(!NGINX && !process.env['CI'])(
  'every answer is right, none is lost, and who is told to end exits with 0',
  async () => {
    const soak = join(import.meta.dirname, '../bench/soak.mjs');
    const { stdout } = await promisify(execFile)(process.execPath, [soak, '--minutes', '0.33', '--json']).catch((error) => error);
    const report = JSON.parse(stdout);
    expect(report, stdout).toMatchObject({ wrong: 0, lost: 0, uncleanTerms: 0 });
    for (const what of ['right', 'cancelled', 'pieces', 'slow', 'hostile', 'swaps', 'kills', 'terms'])
      expect(report[what], what).toBeGreaterThan(0);
    expect(Object.keys(report.complaints).filter((what) => !what.startsWith('refused: '))).toEqual([]);
  },
  120_000,
);

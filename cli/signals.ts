// Signals: a command that is working ends at once; one that serves drains first, and ends at once on the second signal.

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** Ctrl-C during work: exit 130, with the cursor that a progress bar may have hidden. Files are whole or absent (files.ts). */
export function exitOnInterrupt(): void {
  process.once('SIGINT', () => {
    if (process.stderr.isTTY) process.stderr.write('\u001b[?25h\n');
    process.exit(130);
  });
}

/** Resolves at the first SIGINT or SIGTERM; from then on the next one exits. */
export function untilSignal(): Promise<void> {
  process.removeAllListeners('SIGINT');
  return new Promise((resolve) => {
    for (const signal of SIGNALS) {
      process.once(signal, () => {
        for (const again of SIGNALS) process.once(again, () => process.exit(130));
        resolve();
      });
    }
  });
}
